// RDAP against a real HTTP server on loopback: what it says, where it sends on to, and everything that is no answer.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { askRdap } from "../../src/hooks/rdap.ts";

const REGISTERED = "2026-11-20T10:30:00Z";
const answer = (events: unknown): string =>
  JSON.stringify({ objectClassName: "domain", ldhName: "example.org", events });
const GOOD = answer([
  { eventAction: "last changed", eventDate: "2026-11-21T00:00:00Z" },
  { eventAction: "registration", eventDate: REGISTERED },
]);

let base = "";
let server: Bun.Server<undefined>;
const asked: { readonly path: string; readonly accept: string | null }[] = [];

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push({ path: pathname, accept: request.headers.get("Accept") });
      const [, mode = "", , domain = ""] = pathname.split("/");
      switch (mode) {
        case "good":
          return new Response(GOOD, { headers: { "Content-Type": "application/rdap+json" } });
        case "registry":
          return Response.redirect(`/good/domain/${domain}`, 302);
        case "circle":
          return Response.redirect(`/circle/domain/${domain}`, 301);
        case "file":
          return new Response(null, { status: 302, headers: { Location: "file:///etc/passwd" } });
        case "nowhere":
          return new Response(null, { status: 302, headers: { Location: "http://[" } });
        case "none":
          return new Response("{}", { status: 404 });
        case "busy":
          return new Response("slow down", { status: 429 });
        case "undated":
          return new Response(answer([{ eventAction: "registration", eventDate: "some day" }, 7, null]));
        case "shapeless":
          return new Response("[1,2]");
        case "html":
          return new Response("<html>");
        case "long":
          return new Response(`"${"x".repeat(1_100_000)}"`);
        case "endless":
          return new Response(
            new ReadableStream({
              async pull(controller) {
                controller.enqueue(new TextEncoder().encode(" ".repeat(65_536)));
                await Bun.sleep(1);
              },
            }),
          );
        default:
          await Bun.sleep(3000);
          return new Response(GOOD);
      }
    },
  });
  base = `http://127.0.0.1:${server.port}`;
});
afterAll(async () => {
  await server.stop(true);
});

test("the date of the registration, by the address RFC 9082 says", async () => {
  for (const slash of ["", "/"]) {
    expect(await askRdap(`${base}/good${slash}`, "example.org")).toEqual({
      kind: "registered",
      at: Date.parse(REGISTERED),
    });
    expect(asked.at(-1)?.path).toBe("/good/domain/example.org");
    expect(asked.at(-1)?.accept).toContain("application/rdap+json");
  }
});

test("it goes where the service sends it", async () => {
  expect(await askRdap(`${base}/registry`, "example.org")).toMatchObject({ kind: "registered" });
});

describe("no date", () => {
  const unknowns: readonly (readonly [mode: string, words: string])[] = [
    ["none", "knows no domain example.org"],
    ["undated", "does not say when example.org was registered"],
    ["shapeless", "does not say when"],
  ];
  test.each(unknowns)("%s", async (mode, words) => {
    const found = await askRdap(`${base}/${mode}`, "example.org");
    expect(found).toMatchObject({ kind: "unknown" });
    expect(JSON.stringify(found)).toContain(words);
  });
});

describe("no answer", () => {
  const failures: readonly (readonly [mode: string, words: string])[] = [
    ["busy", "it answered 429"],
    ["html", "JSON"],
    ["long", "longer than 1048576 octets"],
    ["endless", "longer than 1048576 octets"],
    ["circle", "sends on more than 5 times"],
    ["file", "sends on to file://"],
    ["nowhere", "cannot be asked"],
  ];
  test.each(failures)("%s", async (mode, words) => {
    const found = await askRdap(`${base}/${mode}`, "example.org");
    expect(found).toMatchObject({ kind: "failed" });
    expect(JSON.stringify(found)).toContain(words);
  });

  test("in time", async () => {
    const found = await askRdap(`${base}/silent`, "example.org", { timeoutMs: 100 });
    expect(found).toMatchObject({ kind: "failed" });
    expect(JSON.stringify(found)).toContain("no answer within 100 ms");
  });

  test("nobody there", async () => {
    const found = await askRdap("http://127.0.0.1:1", "example.org");
    expect(found).toMatchObject({ kind: "failed" });
  });
});
