// Plays every *.dialog file of this folder against one gateway with the policy below.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { playDialog } from "./play-dialog.ts";

const FOLDER = join(import.meta.dir);
const PASSWORD = "correct horse battery staple";

let gateway: TrialGateway;

beforeAll(async () => {
  const password_hash = await Bun.password.hash(PASSWORD, {
    algorithm: "argon2id",
    memoryCost: 1024,
    timeCost: 1,
  });
  const other_hash = await Bun.password.hash("another password altogether", {
    algorithm: "argon2id",
    memoryCost: 1024,
    timeCost: 1,
  });
  const relay = ["trusted-networks", "authenticated"];
  const listen = "127.0.0.1:0";
  const quick = { greeting_delay: 30 };
  gateway = await openTrialGateway({
    policy: trialPolicy({
      listener: [
        { name: "mx", listen, relay, max_message_bytes: 200_000, max_recipients: 50_000, ...quick },
        {
          name: "small",
          listen,
          relay,
          max_message_bytes: 2000,
          max_recipients: 5,
          max_connections_per_client: 2,
          idle_timeout: "1s",
          ...quick,
        },
        {
          name: "plain",
          listen,
          hide_clients: "nobody",
          tls: "none",
          auth: "optional",
          auth_without_tls: true,
          relay,
          greeting_delay: 0,
        },
        { name: "must-tls", listen, tls: "starttls-required", auth: "optional", relay, ...quick },
        { name: "submission", listen, auth: "required", relay: ["authenticated"], ...quick },
        {
          name: "submissions",
          listen,
          tls: "implicit",
          auth: "required",
          relay: ["authenticated"],
          ...quick,
        },
        {
          name: "proxied",
          listen,
          relay,
          proxy_from: ["127.0.0.8/32"],
          clients: ["127.0.0.8/32", "192.0.2.0/24", "2001:db8::/32", "198.51.100.0/24"],
          ...quick,
        },
        { name: "proxied-tls", listen, tls: "implicit", relay, proxy_from: ["127.0.0.8/32"], ...quick },
        { name: "proxied-only", listen, relay, proxy_from: ["127.0.0.8/32"], clients: ["192.0.2.0/24"] },
        { name: "slow-greeting", listen, relay, greeting_delay: 400 },
        { name: "private", listen, relay, clients: ["127.0.0.9/32"], ...quick },
        { name: "huge", listen, relay, greeting_delay: 0 },
        {
          name: "strict",
          listen,
          relay,
          strict_syntax: "everybody",
          bare_lf_trusted: "refuse",
          nul: "refuse",
          hide_clients: "all",
          ...quick,
        },
        { name: "lax", listen, relay, strict_syntax: "nobody", bare_lf: "normalise", ...quick },
      ],
      networks: {
        trusted: ["127.0.0.9/32", "192.0.2.99/32", "127.0.0.26/32", "127.0.0.28/31"],
        excepted: ["127.0.0.29/32"],
      },
      domain: [
        {
          name: "example.test",
          recipients: { verify: "catch-all" },
          rules: [],
          routes: [{ host: "192.0.2.25" }],
        },
        {
          name: "listed.test",
          recipients: { verify: "list", list: ["known@listed.test"] },
          rules: [],
          routes: [{ host: "192.0.2.25" }],
        },
        {
          name: "tagged.test",
          recipients: { verify: "list", list: ["info@tagged.test", "tina@tagged.test"] },
          recipient_delimiter: "+",
          rules: [],
          routes: [{ host: "192.0.2.25" }],
        },
        { name: "bücher.test", rules: [], recipients: { verify: "catch-all" } },
        { name: "asked.test", rules: [], routes: [{ host: "192.0.2.25" }] },
        { name: "narrow.test", rules: [], routes: [{ host: "narrow.example" }] },
        {
          name: "patient.test",
          recipients: { when_down: "accept" },
          rules: [],
          routes: [{ host: "192.0.2.25" }],
        },
        {
          name: "strict.test",
          recipients: { verify: "list", list: ["carol@strict.test", "team@strict.test"] },
          rules: [],
          routes: [{ host: "192.0.2.25" }],
          outgoing: { require_tls: true, from_must_exist: true, dkim_selector: "gate2" },
        },
        {
          name: "linked.test",
          recipients: { verify: "catch-all" },
          rules: [],
          routes: [{ host: "192.0.2.25" }],
          outgoing: { link_same_password: true },
        },
        { name: "barred.test", rules: [], outgoing: { barred: true } },
        { name: "whole.test", rules: [], recipients: { verify: "catch-all" } },
        { name: "exists.test", rules: [], outgoing: { from_must_exist: true } },
        { name: "asleep.test", rules: [], enabled: false },
      ],
      sender: [
        { kind: "user", login: "alice@example.test", domain: "example.test", password_hash },
        { kind: "user", login: "closed@example.test", domain: "example.test", password_hash, enabled: false },
        {
          kind: "user",
          login: "rita@example.test",
          domain: "example.test",
          password_hash,
          reauthentication_permitted: true,
          send_as: [
            "info@example.test",
            "@sub.example.test",
            "@barred.test",
            "x@asleep.test",
            "@web.asleep.test",
          ],
          dkim_selector: "rita1",
        },
        {
          kind: "user",
          login: "quiet@example.test",
          domain: "example.test",
          password_hash,
          quarantine_response: "accepted",
          archive: true,
        },
        {
          kind: "user",
          login: "carol@strict.test",
          domain: "strict.test",
          password_hash,
          send_as: ["team@strict.test", "ghost@strict.test", "x@elsewhere.example"],
        },
        {
          kind: "user",
          login: "maria@exists.test",
          domain: "exists.test",
          password_hash,
          send_as: ["maybe@exists.test", "yes@exists.test"],
        },
        { kind: "user", login: "tina@tagged.test", domain: "tagged.test", password_hash },
        { kind: "user", login: "ulla@bücher.test", domain: "bücher.test", password_hash },
        {
          kind: "user",
          login: "scanner1",
          domain: "tagged.test",
          password_hash,
          send_as: ["office@tagged.test"],
        },
        { kind: "user", login: "dora@linked.test", domain: "linked.test", password_hash },
        { kind: "user", login: "dan@linked.test", domain: "linked.test", password_hash },
        { kind: "user", login: "eve@linked.test", domain: "linked.test", password_hash: other_hash },
        { kind: "user", login: "barry@barred.test", domain: "barred.test", password_hash },
        { kind: "domain", domain: "whole.test", password_hash },
        { kind: "user", login: "sue@asleep.test", domain: "asleep.test", password_hash },
        { kind: "domain", domain: "asleep.test", password_hash },
        { kind: "ip", range: "127.0.0.26/32", domain: "asleep.test" },
        {
          kind: "ip",
          range: "127.0.0.23/32",
          domain: "example.test",
          domains: ["listed.test", "barred.test"],
        },
        { kind: "ip", range: "127.0.0.24/32", domain: "example.test", forwards: "allow" },
        { kind: "ip", range: "127.0.0.25/32", domain: "example.test", forwards: "refuse" },
        {
          kind: "ip",
          range: "127.0.0.20/32",
          domain: "example.test",
          identify_by: { header: "X-Client-ID", remove: true },
          archive: true,
        },
        {
          kind: "ip",
          range: "127.0.0.21/32",
          domain: "example.test",
          reauthenticate_as: "rita@example.test",
        },
        {
          kind: "ip",
          range: "127.0.0.22/32",
          domain: "example.test",
          reauthenticate_as: "alice@example.test",
        },
      ],
      rule: [
        {
          name: "spam-out",
          when: 'recipient.address starts with "spam"',
          action: "quarantine",
          counts_as_spam: true,
        },
        { name: "junk", when: 'recipient.address starts with "junk"', action: "quarantine", code: 250 },
        {
          name: "junk550",
          when: 'recipient.address starts with "bad"',
          action: "quarantine",
          code: 550,
          reply: "Not wanted",
        },
        {
          name: "refuse",
          when: 'recipient.address starts with "no"',
          action: "reject",
          code: 554,
          reply: "We said no",
        },
        {
          name: "later",
          when: 'recipient.address starts with "later"',
          action: "tempfail",
          code: 451,
          reply: "Come again",
        },
        { name: "drop", when: 'recipient.address starts with "drop"', action: "discard" },
        {
          name: "copy",
          when: 'recipient.address starts with "twice"',
          action: "copy",
          to: "archive@example.test",
        },
        {
          name: "move",
          when: 'recipient.address starts with "moved"',
          action: "redirect",
          to: "new@example.test",
        },
      ],
    }),
    takenBy: ([route]) => (route?.host === "narrow.example" ? { maxBytes: 2000, smtpUtf8: false } : null),
    verifyRecipient: (address) =>
      address.startsWith("yes")
        ? { known: "yes", text: "" }
        : { known: address.startsWith("maybe") ? "unsure" : "no", text: "asked" },
  });
});

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
});

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".dialog"));

test("there are dialogues", () => {
  expect(files.length).toBeGreaterThanOrEqual(70);
});

for (const name of files)
  test(name, async () => {
    await playDialog(readFileSync(join(FOLDER, name), "utf8"), gateway);
  }, 20_000);
