// Alerts: one when a threshold is reached, none before the window is over, always one for a lock; by mail, web hook and short message.
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { DAY, domainWith, HOUR, lockNews, MINUTE, openGate, START, stoppedMessage } from "./outgoing-kit.ts";

const MAIL = { alerts: { mail: ["admin@example.test"] } };
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

test("one alert when the threshold is reached, the next after the window with the count meanwhile", async () => {
  await using gate = await openGate([domainWith(MAIL)]);
  const stop = (n: number, identity = "client-a") => {
    for (let i = 0; i < n; i++) gate.notices.stopped(stoppedMessage(gate.clock, { identity }));
  };
  stop(4);
  await gate.turn(MINUTE);
  expect(gate.mails).toEqual([]);
  stop(1);
  stop(1, "client-b");
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(1);
  const [mail] = gate.mails;
  expect(mail).toMatchObject({
    to: "admin@example.test",
    subject: "Spam from example.test: 6 messages stopped",
    smtpUtf8: false,
    eightBit: false,
    headerFrom: "Gatepost <postmaster@gate.example.test>",
  });
  const words = oneLine(mail?.text ?? "");
  expect(words).toStartWith(
    "Since 2026-11-21 12:00 UTC, 6 messages from example.test were stopped as spam. None of them was sent. Look at the senders below: change the password",
  );
  expect(words).toContain("5 client-a (sender 192.0.2.0/28) 1 client-b (sender 192.0.2.0/28)");
  expect(words).toContain("GTUBE found (rule outgoing-spam)");
  expect(words).toContain("The quarantine: https://gate.example.test:8443/quarantine");
  expect(words).toContain("no further alert of this kind before 2026-11-21 13:01 UTC");

  // A flood within the window: silence, and then one with all of it.
  for (let minute = 0; minute < 50; minute++) {
    stop(200, `client-${minute}`);
    await gate.turn(MINUTE);
  }
  expect(gate.mails.length).toBe(1);
  await gate.turn(15 * MINUTE);
  expect(gate.mails.length).toBe(2);
  expect(gate.mails[1]?.subject).toBe("Spam from example.test: 10000 messages stopped");
  // Twenty senders are told apart, ten are shown.
  expect(oneLine(gate.mails[1]?.text ?? "")).toContain("8000 others");
  // Some, but not enough, in the next one: none.
  stop(4);
  await gate.turn(3 * HOUR);
  expect(gate.mails.length).toBe(2);
});

test("kinds and domains are counted apart; null switches a kind off", async () => {
  await using gate = await openGate([
    domainWith({
      alerts: { mail: ["admin@example.test"], thresholds: { spam: null, bulk: 2, window: "10m" } },
    }),
    domainWith({ alerts: { mail: ["other@example.org"] } }, "example.org"),
  ]);
  for (let i = 0; i < 50; i++) {
    gate.notices.stopped(stoppedMessage(gate.clock));
    gate.notices.stopped(stoppedMessage(gate.clock, { kind: null }));
    gate.notices.stopped(stoppedMessage(gate.clock, { domain: "not-ours.example", kind: "virus" }));
  }
  gate.notices.stopped(
    stoppedMessage(gate.clock, { kind: "virus", words: "Eicar found", quarantined: false }),
  );
  gate.notices.stopped(stoppedMessage(gate.clock, { kind: "bulk" }));
  gate.notices.stopped(
    stoppedMessage(gate.clock, {
      kind: "bulk",
      domain: "example.org",
      identity: null,
      sender: "carol@example.org",
    }),
  );
  await gate.turn(9 * MINUTE);
  expect(gate.mails.map(({ to, subject }) => [to, subject])).toEqual([
    ["admin@example.test", "Virus from example.test: 1 message stopped"],
    ["other@example.org", "Bulk mail from example.org: 1 message stopped"],
  ]);
  expect(oneLine(gate.mails[0]?.text ?? "")).toContain("It was not sent. Take the computers");
  expect(gate.mails[0]?.text).not.toContain("/quarantine");
  // Eleven minutes apart are not within ten.
  await gate.turn(2 * MINUTE);
  gate.notices.stopped(stoppedMessage(gate.clock, { kind: "bulk" }));
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(2);
  gate.notices.stopped(stoppedMessage(gate.clock, { kind: "bulk" }));
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(3);
});

test("what was alerted is not alerted again after a restart within the window", async () => {
  await using gate = await openGate([domainWith(MAIL)]);
  for (let i = 0; i < 5; i++) gate.notices.stopped(stoppedMessage(gate.clock));
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(1);
  await gate.restart();
  for (let i = 0; i < 5; i++) gate.notices.stopped(stoppedMessage(gate.clock));
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(1);
  await gate.turn(HOUR);
  expect(gate.mails.length).toBe(2);
});

test("a lock alerts at once, with a link that works once", async () => {
  await using gate = await openGate([
    domainWith({
      alerts: { mail: ["admin@example.test", "second@example.test"] },
      report: { timezone: "Europe/Vienna" },
    }),
  ]);
  gate.notices.locked(lockNews(gate.clock));
  await gate.rest();
  expect(gate.mails.map(({ to, subject }) => [to, subject])).toEqual([
    ["admin@example.test", "Locked: client-a (sender 192.0.2.0/28)"],
    ["second@example.test", "Locked: client-a (sender 192.0.2.0/28)"],
  ]);
  const text = gate.mails[0]?.text ?? "";
  expect(oneLine(text)).toStartWith(
    "client-a (sender 192.0.2.0/28) of example.test is locked: 5 spam messages within 10 minutes. Nothing from it is taken until 2026-11-21 14:00 Europe/Vienna. Everybody else goes on sending.",
  );
  const token = /^https:\/\/gate\.example\.test:8443\/unlock\/([A-Za-z0-9_-]{43})$/m.exec(text)?.[1] ?? "";
  expect(gate.mails[1]?.text).toContain(token);
  expect(text).toContain("https://gate.example.test:8443/identity?sender=192.0.2.0%2F28&name=client-a\n");
  const subject = { sender: "192.0.2.0/28", identity: "client-a", since: String(lockNews(gate.clock).at) };
  expect(await gate.links.look("unlock", token)).toEqual({ state: "valid", subject });
  expect(await gate.links.use("unlock", token)).toEqual({ state: "valid", subject });
  expect((await gate.links.use("unlock", token)).state).toBe("used");

  gate.notices.locked(lockNews(gate.clock, { identity: null, until: null }));
  await gate.rest();
  const whole = oneLine(gate.mails[2]?.text ?? "");
  expect(whole).toStartWith("192.0.2.0/28 of example.test is locked:");
  expect(whole).toContain("until a person unlocks it. This is the whole sender");
  const second = /unlock\/([A-Za-z0-9_-]{43})/.exec(whole)?.[1] ?? "";
  expect((await gate.links.look("unlock", second)).subject).toMatchObject({
    sender: "192.0.2.0/28",
    identity: "",
  });
  await gate.turn(7 * DAY);
  expect((await gate.links.look("unlock", second)).state).toBe("expired");
  // A week of looks.
}, 30_000);

test("what a person has locked comes without a link that would lift it", async () => {
  await using gate = await openGate([domainWith({ alerts: { mail: ["admin@example.test"] } })]);
  gate.notices.locked(lockNews(gate.clock, { by: "boss@operator.test", until: null }));
  await gate.rest();
  const text = oneLine(gate.mails[0]?.text ?? "");
  expect(text).toContain("It was locked by hand by boss@operator.test, and is unlocked in the console.");
  expect(text).not.toContain("/unlock/");
});

test("nobody named: the postmaster hears of it", async () => {
  await using gate = await openGate([domainWith({})]);
  gate.notices.locked(lockNews(gate.clock));
  gate.notices.locked(lockNews(gate.clock, { domain: "gone.example" }));
  await gate.rest();
  expect(gate.mails.map(({ to }) => to)).toEqual(Array(2).fill("postmaster@gate.example.test"));
});

test("the web hook gets signed JSON, each try with its own time and the same id", async () => {
  const secret = "0123456789abcdef";
  await using gate = await openGate([
    domainWith({ alerts: { webhook: { url: "https://hook.example.org/x", secret } } }),
  ]);
  gate.answer = () => ({
    ok: false,
    status: 503,
    retry: true,
    words: "https://hook.example.org answered 503",
  });
  gate.notices.locked(lockNews(gate.clock));
  await gate.turn(10_000);
  expect(gate.mails).toEqual([]);
  expect(gate.posts.length).toBe(2);
  expect([...gate.alarms]).toEqual([
    [
      "web hook of example.test",
      "The web hook of example.test does not work: https://hook.example.org answered 503. It is tried again.",
    ],
  ]);
  gate.answer = () => ({ ok: true, status: 200, retry: false, words: "answered 200" });
  await gate.turn(MINUTE);
  expect(gate.posts.length).toBe(3);
  expect(gate.alarms.size).toBe(0);
  const bodies = gate.posts.map(({ body, headers, method, url }) => {
    expect({ method, url }).toEqual({ method: "POST", url: "https://hook.example.org/x" });
    const mac = createHmac("sha256", secret)
      .update(body ?? "")
      .digest("hex");
    expect(headers["x-gatepost-signature"]).toBe(`sha256=${mac}`);
    const parsed = JSON.parse(body ?? "");
    expect(headers["x-gatepost-timestamp"]).toBe(String(parsed.timestamp));
    return parsed;
  });
  expect(bodies.map(({ timestamp }) => timestamp)).toEqual([0, 5, 35].map((s) => START / 1000 + s));
  expect(new Set(bodies.map(({ id }) => id)).size).toBe(1);
  expect(bodies[0]).toMatchObject({
    version: 1,
    event: "lock",
    at: "2026-11-21T12:00:00.000Z",
    gateway: "gate.example.test",
    domain: "example.test",
    summary: "client-a (sender 192.0.2.0/28) of example.test is locked: 5 spam messages within 10 minutes",
    sender: "192.0.2.0/28",
    identity: "client-a",
    until: "2026-11-21T13:00:00.000Z",
    unlock_url: expect.stringMatching(/^https:\/\/gate\.example\.test:8443\/unlock\/[\w-]{43}$/),
  });
});

test("a hook that stays broken is given up with an alarm; mail and other hooks go on; taking it out of the settings lifts the alarm", async () => {
  await using gate = await openGate([
    domainWith({ alerts: { mail: ["admin@example.test"], webhook: { url: "https://dead.example.org/" } } }),
    domainWith({ alerts: { webhook: { url: "https://hook.example.org/" } } }, "example.org"),
  ]);
  gate.answer = ({ url }) =>
    url.includes("dead")
      ? { ok: false, status: null, retry: true, words: "https://dead.example.org cannot be reached" }
      : { ok: true, status: 200, retry: false, words: "answered 200" };
  for (let i = 0; i < 10; i++) {
    gate.notices.locked(lockNews(gate.clock, { identity: `a${i}` }));
    gate.notices.locked(lockNews(gate.clock, { identity: `b${i}`, domain: "example.org" }));
  }
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(10);
  expect(gate.posts.filter(({ url }) => url.includes("hook")).length).toBe(10);
  expect(
    gate.posts.filter(({ url }) => url.includes("dead"))[0]?.headers["x-gatepost-signature"],
  ).toBeUndefined();
  await gate.turn(30 * MINUTE);
  expect(gate.alarms.get("web hook of example.test")).toContain("cannot be reached");
  // Five tries each, one after the other.
  await gate.turn(DAY);
  expect(gate.posts.filter(({ url }) => url.includes("dead")).length).toBe(50);
  expect(gate.alarms.get("web hook of example.test")).toContain("Lost: alert about the lock of a9.");
  gate.domains = [domainWith(MAIL)];
  await gate.turn(MINUTE);
  expect(gate.alarms.size).toBe(0);
});

test("an answer that will not change is not asked for again", async () => {
  await using gate = await openGate([
    domainWith({ alerts: { webhook: { url: "https://hook.example.org/" } } }),
  ]);
  gate.answer = () => ({
    ok: false,
    status: 404,
    retry: false,
    words: "https://hook.example.org answered 404",
  });
  gate.notices.locked(lockNews(gate.clock));
  await gate.turn(HOUR);
  expect(gate.posts.length).toBe(1);
  expect(gate.alarms.get("web hook of example.test")).toContain("answered 404");
});

test("short messages: the address is filled in, percent-encoded", async () => {
  const url = "https://sms.example.org/send?to={to}&text={text}&from={from}";
  await using gate = await openGate([
    domainWith({ alerts: { sms: { url, to: "+43 660/1&2" } } }),
    domainWith(
      { alerts: { sms: { url: "https://sms.example.org/{to}", to: "+431", method: "POST" } } },
      "example.org",
    ),
  ]);
  gate.notices.locked(lockNews(gate.clock, { identity: "ü&to=x#{to}\r\n\ud800" }));
  gate.notices.locked(lockNews(gate.clock, { domain: "example.org" }));
  await gate.rest();
  const [get, form] = gate.posts;
  expect(get).toMatchObject({ method: "GET", body: null });
  const sent = new URL(get?.url ?? "").searchParams;
  expect(sent.get("to")).toBe("+43 660/1&2");
  expect(sent.get("from")).toBe("{from}");
  expect(sent.get("text")).toStartWith(
    "gate.example.test: ü&to=x#{to} (sender 192.0.2.0/28) is locked until",
  );
  expect(sent.get("text")?.length).toBeLessThanOrEqual(160);
  expect(sent.get("text")).not.toContain("unlock/");
  expect(form).toMatchObject({ method: "POST", url: "https://sms.example.org/%2B431" });
  expect(new URLSearchParams(form?.body ?? "").get("text")).toContain("client-a");
});

test("while the queue takes nothing, alerts wait for it", async () => {
  await using gate = await openGate([domainWith(MAIL)]);
  gate.queueError = new Error("the disk is full");
  gate.notices.locked(lockNews(gate.clock));
  await gate.turn(10_000);
  expect(gate.alarms.get("mail of notices")).toContain("the disk is full");
  gate.queueError = null;
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(1);
  expect(gate.alarms.size).toBe(0);
});

test("a trial says in words what came of it", async () => {
  await using gate = await openGate([
    domainWith({
      alerts: {
        mail: ["admin@example.test"],
        webhook: { url: "https://hook.example.org/" },
        sms: { url: "https://sms.example.org/?{text}{to}" },
      },
    }),
    domainWith({}, "example.org"),
  ]);
  expect(await gate.notices.test("example.test", "mail")).toEqual({
    ok: true,
    words: "The mail to admin@example.test is queued as mail1.",
  });
  expect(gate.mails[0]?.subject).toBe("Trial alert for example.test");
  expect(await gate.notices.test("example.test", "webhook")).toEqual({
    ok: true,
    words: "https://hook.example.org answered 200.",
  });
  expect(JSON.parse(gate.posts[0]?.body ?? "")).toMatchObject({ event: "test", domain: "example.test" });
  gate.answer = () => ({
    ok: false,
    status: 500,
    retry: true,
    words: "https://sms.example.org answered 500",
  });
  expect(await gate.notices.test("example.test", "sms")).toEqual({
    ok: false,
    words: "https://sms.example.org answered 500.",
  });
  gate.queueError = new Error("the disk is full");
  expect(await gate.notices.test("example.test", "mail")).toEqual({
    ok: false,
    words: "The mail could not be put into the queue: the disk is full",
  });
  for (const channel of ["mail", "webhook", "sms"] as const) {
    expect((await gate.notices.test("example.org", channel)).ok).toBe(false);
    expect((await gate.notices.test("nowhere.example", channel)).words).toContain(
      '"nowhere.example" is not a domain',
    );
  }
  await gate.turn(HOUR);
  expect(gate.posts.length).toBe(2);
});

test("a button that makes mail makes so much of it, and says when it may again", async () => {
  await using gate = await openGate([
    domainWith({ alerts: { mail: ["admin@example.test"] } }),
    domainWith({ alerts: { mail: ["admin@example.org"] } }, "example.org"),
  ]);
  const answers: string[] = [];
  for (let i = 0; i < 1000; i++) answers.push((await gate.notices.test("example.test", "mail")).words);
  expect(gate.mails.length).toBe(5);
  expect(answers[5]).toBe("Enough trial alerts were sent; the next one can be sent in 10 minutes.");
  expect((await gate.notices.test("example.org", "mail")).ok).toBe(true);
  await gate.turn(10 * 60_000);
  expect((await gate.notices.test("example.test", "mail")).ok).toBe(true);
});
