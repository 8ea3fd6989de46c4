// Mail to users: the lock notice with its templates, and the password link. Nothing hostile gets into a header.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseAddress } from "../../src/message/address.ts";
import { LOCK_NOTICE, lockNotice } from "../../src/notify/lock-notice.ts";
import { composeMail } from "../../src/notify/own-mail.ts";
import { judge } from "./judge-report.ts";
import { hasPython } from "./notice-kit.ts";
import { domainWith, lockNews, openGate, START } from "./outgoing-kit.ts";

const ADMIN = domainWith({ alerts: { mail: ["admin@example.test"] } });
const toUser = { user: "alice@example.test", identity: "alice@example.test", sender: "alice@example.test" };

test("a locked user is told in the product's words", async () => {
  await using gate = await openGate([ADMIN]);
  gate.notices.locked(lockNews(gate.clock, toUser));
  await gate.rest();
  const mail = gate.mails.find(({ to }) => to === "alice@example.test");
  expect(mail?.subject).toBe("Your mail is not sent at present: alice@example.test is locked");
  const words = mail?.text.replace(/\s+/g, " ") ?? "";
  expect(words).toContain(
    "Mail from alice@example.test is not sent until 2026-11-21 13:00 UTC. The reason: 5 spam messages within 10 minutes.",
  );
  expect(words).toContain("Then ask admin@example.test to unlock you.");
  expect(words).toContain(
    "Written by the mail gateway gate.example.test, which sends the mail of example.test.",
  );
  // The link that unlocks is for the administrator.
  expect(words).not.toContain("/unlock/");
});

test("a template of one's own, none, and one that is not there", async () => {
  await using gate = await openGate([ADMIN]);
  gate.templates = [
    {
      name: "ours",
      subject: "Gesperrt: {identity}",
      text: "Grüß Gott {user},\r\n{until} {nothing} {IDENTITY} {constructor} {reason}",
    },
  ];
  gate.notices.locked(
    lockNews(gate.clock, { ...toUser, template: "ours", until: null, words: "{user} {until}" }),
  );
  gate.notices.locked(lockNews(gate.clock, { ...toUser, template: "none" }));
  gate.notices.locked(lockNews(gate.clock, { ...toUser, template: "lost" }));
  await gate.rest();
  const mails = gate.mails.filter(({ to }) => to === "alice@example.test");
  expect(mails.map(({ subject }) => subject)).toEqual([
    "Gesperrt: alice@example.test",
    "Your mail is not sent at present: alice@example.test is locked",
  ]);
  // What a value brings along is not filled in again.
  expect(mails[0]?.text.trimEnd()).toBe(
    "Grüß Gott alice@example.test,\na person unlocks it {nothing} {IDENTITY} {constructor} {user} {until}",
  );
});

test("nobody of another domain here is written to, and one person not again and again", async () => {
  await using gate = await openGate([ADMIN, domainWith({}, "other.test")]);
  gate.notices.locked(
    lockNews(gate.clock, { ...toUser, user: "victim@other.test", identity: "victim@other.test" }),
  );
  for (let i = 0; i < 10; i++) gate.notices.locked(lockNews(gate.clock, toUser));
  for (let i = 0; i < 200; i++) {
    const user = `made-up-${i}@example.test`;
    gate.notices.locked(lockNews(gate.clock, { ...toUser, user, identity: user }));
  }
  await gate.rest();
  const to = (address: string) => gate.mails.filter((mail) => mail.to === address).length;
  expect(to("victim@other.test")).toBe(0);
  expect(to("alice@example.test")).toBe(3);
  expect(gate.mails.filter((mail) => mail.to.startsWith("made-up-")).length).toBeLessThanOrEqual(50);
});

test("nobody outside is written to because a header named them", async () => {
  await using gate = await openGate([ADMIN]);
  for (const user of [
    "victim@example.org",
    "no address",
    "a@b@c",
    "alice@example.test\r\nBcc: x@example.org",
    null,
  ]) {
    gate.notices.locked(lockNews(gate.clock, { user, identity: user }));
  }
  await gate.rest();
  expect(gate.mails.map(({ to }) => to)).toEqual(Array(5).fill("admin@example.test"));
});

test("the password link", async () => {
  await using gate = await openGate([ADMIN]);
  const url = `https://gate.example.test:8443/smtp-password/${"x".repeat(43)}`;
  await gate.notices.passwordLink("jürgen@example.test", url);
  const [mail] = gate.mails;
  expect(mail).toMatchObject({
    to: "jürgen@example.test",
    smtpUtf8: true,
    eightBit: true,
    subject: "Set your password for sending mail",
  });
  expect(mail?.text).toContain(`\n${url}\n`);
  expect(mail?.text).toContain("If it was not you, do nothing");
  expect(await gate.notices.passwordLink("nobody", url).catch(String)).toContain(
    '"nobody" is not a mail address',
  );
  gate.queueError = new Error("the disk is full");
  expect(await gate.notices.passwordLink("alice@example.test", url).catch(String)).toContain(
    "the disk is full",
  );
});

const setting = { user: "alice@example.test", hostname: "gate.example.test", contact: null, timezone: "UTC" };

test("whatever identities, reasons and templates hold, the header is ours alone and lines are strict", () => {
  const anything = fc.oneof(fc.string({ unit: "binary", maxLength: 1500 }), fc.string({ maxLength: 3000 }));
  const to = parseAddress("alice@example.test");
  if (!to.ok) throw new Error(to.reason);
  fc.assert(
    fc.property(anything, anything, anything, (identity, words, text) => {
      const news = {
        at: START,
        domain: "example.test",
        sender: identity,
        identity,
        until: null,
        words,
        template: "t",
        user: null,
      };
      const template = {
        name: "t",
        subject: `{identity} ${words} {reason}`,
        text: `${text}{identity}${words}`,
      };
      const notice = lockNotice(template, news, setting);
      const mail = composeMail(
        { to: to.value, ...notice, words },
        { hostname: "gate.example.test", id: "0id", now: START },
      );
      const written = Buffer.from(mail.message).toString("latin1");
      expect(written).not.toMatch(/[^\r]\n|\r[^\n]/);
      expect(written).toMatch(/^[\r\n\t\x20-\x7e]*$/);
      for (const line of written.split("\r\n")) expect(line.length).toBeLessThan(999);
      const head = written.slice(0, written.indexOf("\r\n\r\n"));
      expect(head.split(/\r\n(?![ \t])/).map((line) => line.split(":")[0])).toEqual([
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
      ]);
      expect(mail.subject).not.toMatch(/[\r\n]/);
      expect(mail.words).not.toMatch(/[\r\n]/);
    }),
    { numRuns: 300 },
  );
});

test.skipIf(!hasPython)(
  "read by Python's email package: the notice, long lines, other scripts, quoted addresses",
  async () => {
    const news = { ...lockNewsAt(START), words: "5 Nachrichten “Spam” innerhalb von 10 Minuten" };
    for (const address of [
      "alice@example.test",
      '"a <b> \\" c"@example.test',
      `${"a".repeat(64)}@${"b".repeat(60)}.example.test`,
    ]) {
      const to = parseAddress(address);
      if (!to.ok) throw new Error(to.reason);
      const notice = lockNotice(
        { ...LOCK_NOTICE, text: `${LOCK_NOTICE.text}\n${"long ".repeat(2000)}` },
        news,
        setting,
      );
      const { message } = composeMail(
        { to: to.value, ...notice, words: "" },
        { hostname: "gate.example.test", id: "0id", now: START },
      );
      const judged = await judge(message);
      expect(judged.problems).toEqual([]);
      expect(judged.to.replace(/\r\n/g, "").trim()).toBe(`<${address}>`);
      expect(judged.subject).toBe(notice.subject);
      expect(judged.text.trimEnd()).toBe(notice.text.trimEnd());
    }
  },
);

function lockNewsAt(at: number) {
  return {
    at,
    domain: "example.test",
    sender: "alice@example.test",
    identity: "Größe 大きさ 😀 client with a rather long name that has to be folded somewhere in the subject",
    until: at,
    words: "",
    template: "lock-notice",
    user: "alice@example.test",
  };
}
