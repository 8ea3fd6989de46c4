// The log names the place where an address stood that the client may not use: the envelope, or the field of the header (O10).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { playDialog } from "../dialogs/play-dialog.ts";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";

let gateway: TrialGateway;
const listen = "127.0.0.1:0";
const PLAIN = btoa("\0ann@acme.test\0tulip magnet forty");

beforeAll(async () => {
  const password_hash = CHEAP_HASH;
  gateway = await openTrialGateway({
    policy: trialPolicy({
      listener: [
        { name: "login", listen, auth: "required", auth_without_tls: true, relay: ["authenticated"] },
        { name: "mx", listen, relay: ["trusted-networks"], greeting_delay: 0, proxy_from: ["127.0.0.9/32"] },
      ],
      domain: [
        { name: "acme.test", rules: [], recipients: { verify: "catch-all" } },
        { name: "other.test", rules: [], recipients: { verify: "catch-all" } },
        { name: "barred.test", rules: [], recipients: { verify: "catch-all" }, outgoing: { barred: true } },
      ],
      sender: [
        { login: "ann@acme.test", domain: "acme.test", password_hash, send_as: ["@barred.test"] },
        { kind: "ip", range: "192.0.2.33/32", domain: "acme.test" },
      ],
    }),
  });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const ANN = "From: ann@acme.test";
const login = 'login "ann@acme.test" may not use bob@acme.test in';
const barred = 'login "ann@acme.test" uses x@barred.test in';
const server = "192.0.2.33 uses x@other.test in";

test.each([
  ["From: bob@acme.test", `${login} From:`],
  [`${ANN}\\r\\nSender: bob@acme.test`, `${login} Sender:`],
  [`${ANN}\\r\\nResent-From: Bob <bob@acme.test>`, `${login} Resent-From:`],
  [`${ANN}\\r\\nResent-From: ann@acme.test\\r\\nResent-Sender: bob@acme.test`, `${login} Resent-Sender:`],
  [`${ANN}\\r\\nSENDER : bob@acme.test`, `${login} Sender:`],
  [`${ANN}\\r\\nSender: ann@acme.test, bob@acme.test`, `${login} Sender:`],
  ["From: x@barred.test", `${barred} From:`],
  [`${ANN}\\r\\nResent-From: x@barred.test`, `${barred} Resent-From:`],
])("a login: %s", async (header, cause) => {
  await playDialog(
    `ON login\nS: 220 *\nC: EHLO c\nS+ 250\nC: AUTH PLAIN ${PLAIN}\nS: 235 *\n${send("ann@acme.test", header)}`,
    gateway,
  );
  expect(gateway.queue.records.at(-1)?.cause).toStartWith(cause);
});

test.each([
  ["From: x@other.test", `${server} From:`],
  [`${ANN}\\r\\nSender: x@other.test`, `${server} Sender, Resent-From or Resent-Sender:`],
])("a server: %s", async (header, cause) => {
  await playDialog(
    `ON mx\nFROM 127.0.0.9\nC~ PROXY TCP4 192.0.2.33 127.0.0.1 40000 25\\r\\nEHLO c\\r\\n\nS: 220 *\nS+ 250\n${send("ann@acme.test", header)}`,
    gateway,
  );
  expect(gateway.queue.records.at(-1)?.cause).toStartWith(cause);
});

test.each(["bob@acme.test", "x@barred.test"])("the envelope: %s", async (path) => {
  await playDialog(
    `ON login\nS: 220 *\nC: EHLO c\nS+ 250\nC: AUTH PLAIN ${PLAIN}\nS: 235 *\nC: MAIL FROM:<${path}>\nS: 550 *\nC: QUIT\nS: 221 *\n`,
    gateway,
  );
  expect(gateway.queue.records.at(-1)?.cause).toContain(`${path} in the envelope:`);
});

function send(path: string, header: string): string {
  return `C: MAIL FROM:<${path}>\nS: 250 *\nC: RCPT TO:<x@elsewhere.example>\nS: 250 *\nC: DATA\nS: 354 *\nC~ ${header}\\r\\n\\r\\nx\\r\\n.\\r\\n\nS: 550 *\nC: QUIT\nS: 221 *\n`;
}
