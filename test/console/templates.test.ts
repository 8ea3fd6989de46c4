// Templates of mails to people: the product's own is shown, one's own are added, previewed, changed and removed.
import { describe, expect, test } from "bun:test";
import { LOCK_NOTICE } from "../../src/notify/lock-notice.ts";
import { administratorAt } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";

const FORM = {
  name: "sales-lock",
  subject: "{identity} is stopped",
  text: "Dear {user},\n\n{identity} <b>waits</b> until {until}: {reason}.\nAsk {contact}. {unknown}\n",
};

describe("templates", () => {
  test("the product's own notice is shown filled in, and is where a new one starts", async () => {
    const { browser } = administratorAt(await fakeGateway());
    const list = await (await browser.get("/settings/templates")).text();
    expect(list).toContain("comes with Gatepost");
    expect(list).toContain("Your mail is not sent at present: alice@example.test is locked");
    expect(list).toContain("gate.example.test");
    expect(list).not.toContain("{identity}");
    const form = await (await browser.get("/settings/templates/new?name=lock-notice")).text();
    expect(form).toContain('value="lock-notice"');
    expect(form).toContain(LOCK_NOTICE.subject);
  });

  test("are added, shown as they would read, changed and removed", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    expect((await browser.post("/settings/templates/new", FORM)).headers.get("Location")).toBe(
      "/settings/templates",
    );
    const templates = () => gateway.services.settings.current().policy.template;
    expect(templates()).toEqual([{ ...FORM, text: FORM.text.trim() }]);
    const list = await (await browser.get("/settings/templates")).text();
    expect(list).toContain("Dear alice@example.test");
    expect(list).toContain("&lt;b&gt;waits&lt;/b&gt;");
    expect(list).toContain("{unknown}");

    const edit = "/settings/templates/sales-lock/edit";
    expect(await (await browser.get(edit)).text()).toContain("{identity} is stopped");
    await browser.post(edit, { ...FORM, subject: "Stopped" });
    expect(templates()[0]?.subject).toBe("Stopped");
    const empty = await browser.post(edit, { ...FORM, text: "" });
    expect(empty.status).toBe(422);
    expect(await empty.text()).toContain('id="f-text-error"');

    await browser.post("/settings/templates/sales-lock/remove");
    expect(templates()).toEqual([]);
  });

  test("a template cannot be called like “no mail”", async () => {
    const { browser } = administratorAt(await fakeGateway());
    const response = await browser.post("/settings/templates/new", { ...FORM, name: "none" });
    expect(response.status).toBe(422);
    expect(await response.text()).toContain('id="f-name-error"');
  });

  test("the preview follows what is typed and runs nothing", async () => {
    const { browser } = administratorAt(await fakeGateway());
    const response = await browser.post("/settings/templates/preview", {
      subject: "For {user}",
      text: "<script>alert(1)</script> {domain}",
    });
    const markup = await response.text();
    expect(markup).toContain("For alice@example.test");
    expect(markup).toContain("&lt;script&gt;");
    expect(markup).not.toContain("<script>");
  });

  test("one's own replaces the product's when it has its name", async () => {
    const { browser } = administratorAt(await fakeGateway());
    await browser.post("/settings/templates/new", { ...FORM, name: "lock-notice" });
    const list = await (await browser.get("/settings/templates")).text();
    expect(list).not.toContain("comes with Gatepost");
    expect(list).toContain("is stopped");
  });
});
