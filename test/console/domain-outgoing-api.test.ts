// Outgoing control over the JSON API: templates, a domain's outgoing settings, and the secrets in them.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { apiToken, ORIGIN } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";

async function start(): Promise<{
  readonly gateway: FakeGateway;
  readonly call: (method: string, path: string, body?: unknown) => Promise<Response>;
}> {
  const gateway = await fakeGateway();
  const app = createConsole(gateway.services);
  const token = apiToken(gateway, "write");
  return {
    gateway,
    call: async (method, path, body) =>
      app.request(`${ORIGIN}/api/v1${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

const SECRET = "never-shown-secret-77";

describe("outgoing control over the API", () => {
  test("templates are listed, put, read and deleted", async () => {
    const { gateway, call } = await start();
    const template = { name: "mine", subject: "{identity}", text: "Dear {user}" };
    expect((await call("PUT", "/templates/mine", template)).status).toBe(200);
    expect(await (await call("GET", "/templates/mine")).json()).toEqual(template);
    expect(await (await call("GET", "/templates")).json()).toEqual({ items: [template], next: null });
    expect((await call("PUT", "/templates/mine", { ...template, text: "" })).status).toBe(422);
    expect((await call("DELETE", "/templates/mine")).status).toBe(204);
    expect((await call("GET", "/templates/mine")).status).toBe(404);
    expect(gateway.services.settings.current().policy.template).toEqual([]);
  });

  test("a domain's outgoing settings are put and answered without the secret; sent back they change nothing", async () => {
    const { gateway, call } = await start();
    const outgoing = {
      enterprise: true,
      alerts: { webhook: { url: "https://hooks.example.org/", secret: SECRET } },
    };
    expect(
      (await call("PUT", "/domains/out.example.test", { name: "out.example.test", outgoing })).status,
    ).toBe(200);
    const version = gateway.services.settings.current().version;
    const answer = await (await call("GET", "/domains/out.example.test")).text();
    expect(answer).not.toContain(SECRET);
    expect(JSON.parse(answer)).toMatchObject({
      outgoing: { enterprise: true, alerts: { webhook: { secret: "***" } } },
    });
    expect(await (await call("GET", "/domains")).text()).not.toContain(SECRET);
    expect((await call("PUT", "/domains/out.example.test", JSON.parse(answer))).status).toBe(200);
    expect(gateway.services.settings.current().version).toBe(version);
    const stored = gateway.services.settings
      .current()
      .policy.domain.find((one) => one.name === "out.example.test");
    expect(stored?.outgoing.alerts.webhook?.secret).toBe(SECRET);
  });

  test("OpenAPI knows the templates and every field of a domain's outgoing settings", async () => {
    const { call } = await start();
    const document: unknown = await (await call("GET", "/openapi.json")).json();
    expect(document).toMatchObject({
      paths: { "/templates": expect.anything(), "/templates/{key}": expect.anything() },
      components: {
        schemas: {
          Template: {
            properties: { name: expect.anything(), subject: expect.anything(), text: expect.anything() },
          },
          Domain: {
            properties: {
              outgoing: {
                properties: {
                  barred: expect.anything(),
                  enterprise: expect.anything(),
                  alerts: expect.anything(),
                  report: expect.anything(),
                  password_server: expect.anything(),
                  dkim_selector: expect.anything(),
                },
              },
            },
          },
        },
      },
    });
  });
});
