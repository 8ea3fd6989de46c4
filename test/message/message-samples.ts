// Messages and an envelope for the tests of this folder and of checks: made up, with example names only.
import fc from "fast-check";
import { type MailAddress, parseAddress } from "../../src/message/address.ts";
import type { Envelope } from "../../src/message/envelope.ts";

/** The address; a test with a wrong one is a broken test. */
export function address(text: string): MailAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** An inbound message from 192.0.2.1 for bob@example.test, with what a test changes. */
export function envelope(changes: Partial<Envelope> = {}): Envelope {
  return {
    id: "0123456789abcdefghjk",
    listener: "mx",
    client: {
      ip: "192.0.2.1",
      port: 40000,
      helo: "mail.example.org",
      hostname: "mail.example.org",
      tls: null,
      login: null,
    },
    reversePath: address("alice@example.org"),
    recipients: [
      {
        address: address("bob@example.test"),
        dsn: null,
        direction: "inbound",
        grant: { by: "relay-domain", domain: "example.test" },
      },
    ],
    smtpUtf8: false,
    body: "7bit",
    requireTls: false,
    dsnRet: null,
    dsnEnvid: null,
    receivedAt: Date.UTC(2026, 10, 20, 10, 0, 0),
    ...changes,
  };
}

/** A message of header lines and a body, CRLF throughout. */
export function message(lines: readonly string[], body = "Hello\r\n"): Buffer {
  return Buffer.from(`${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`);
}

const fieldName = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/);
const fieldValue = fc.oneof(
  fc.stringMatching(/^[ -~]{0,120}$/),
  fc.constantFrom(
    "a\r\n b",
    "=?utf-8?Q?x=3D?=\r\n\t=?utf-8?B?4oKs?=",
    "ü ☃",
    "=?bad?=",
    '"unclosed',
    "(open",
    "",
  ),
);

/** Any message a session may hand on: a header (of random and of known fields) and a body of any octets. */
export const anyMessage: fc.Arbitrary<Buffer> = fc
  .record({
    fields: fc.array(
      fc.tuple(
        fc.oneof(
          fieldName,
          fc.constantFrom("Subject", "From", "Received", "Authentication-Results", "subject "),
        ),
        fieldValue,
      ),
      { maxLength: 12 },
    ),
    body: fc.uint8Array({ maxLength: 400 }),
    gap: fc.boolean(),
  })
  .map(({ fields, body, gap }) =>
    Buffer.concat([
      Buffer.from(fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")),
      ...(gap ? [Buffer.from("\r\n"), body] : []),
    ]),
  );
