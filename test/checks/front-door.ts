// The product's own door for tests of who wrote a message: a real listener, the real checks in their workers, the real resolver, and a DNS
// server of the test. The client's address and HELO come by XCLIENT.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { dkimSign } from "mailauth/lib/dkim/sign";
import { createChecks } from "../../src/checks/create-checks.ts";
import { createResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type Facts, factsOf } from "../../src/rules/fact.ts";
import type { Verdict } from "../../src/rules/verdict.ts";
import { openDialogue, type SmtpDialogue } from "../crash/smtp-dialogue.ts";
import { type DnsServer, startDnsServer, type Zone } from "../dns-server.ts";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";

export interface Letter {
  readonly ip: string;
  readonly helo?: string;
  /** "" for the null reverse-path. */
  readonly sender: string;
  /** The whole message, CRLF. */
  readonly raw: Buffer;
}

export interface Received {
  /** The reply to DATA, or the first refusal before it. */
  readonly reply: string;
  /** True when the dialogue refused before DATA. */
  readonly early: boolean;
  readonly facts: Facts;
  readonly state: string;
  /** What the rules would change in it. */
  readonly edits: Verdict["edits"];
}

export interface FrontDoor extends AsyncDisposable {
  readonly dns: DnsServer;
  readonly gateway: TrialGateway;
  send(letter: Letter): Promise<Received>;
  /** New workers, which remember no answer. */
  renewChecks(): Promise<void>;
}

/** Opens the door. `rules` are those of example.test, the domain all mail is for. */
export async function openFrontDoor(options: {
  readonly zone?: Zone;
  readonly rules: readonly string[];
  readonly dnsTimeoutMs?: number;
}): Promise<FrontDoor> {
  const dns = await startDnsServer(options.zone ?? {});
  const resolver = createResolver({
    servers: [dns.address],
    log: silentLog,
    timeoutMs: options.dnsTimeoutMs ?? 1500,
    keepAnswers: false,
  });
  // One message comes after the other: a second worker would only be loaded.
  const newChecks = () =>
    createChecks({ resolver, hostname: "gate.example.test", log: silentLog, hooks: [], workers: 1 });
  let checks = newChecks();
  const gateway = await openTrialGateway({
    policy: trialPolicy({
      listener: [{ name: "mx", listen: "127.0.0.1:0", greeting_delay: 0, proxy_from: ["127.0.0.0/8"] }],
      networks: { trusted: ["10.0.0.0/8"] },
      domain: [
        {
          name: "example.test",
          routes: [{ host: "127.0.0.1", port: 9, tls: "none" }],
          recipients: { verify: "catch-all" },
          rules: options.rules,
        },
      ],
    }),
    checker: { run: (input, wanted) => checks.run(input, wanted) },
  });
  return {
    dns,
    gateway,
    async send(letter) {
      const before = gateway.queue.records.length;
      const kept = gateway.queue.accepted.length;
      const smtp = await openDialogue(gateway.port());
      const { reply, early } = await handIn(smtp, letter).finally(() => smtp.close());
      const body = gateway.queue.accepted.slice(kept).at(-1);
      const record = body?.record ?? gateway.queue.records.slice(before).at(-1);
      return {
        reply,
        early,
        facts: factsOf(record?.findings ?? []),
        state: record?.recipients[0]?.state ?? "",
        edits: record?.recipients[0]?.verdict?.edits ?? [],
      };
    },
    async renewChecks() {
      const before = checks;
      checks = newChecks();
      await before.close();
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await checks.close();
      resolver.close();
      await dns.close();
    },
  };
}

async function handIn(smtp: SmtpDialogue, letter: Letter): Promise<{ reply: string; early: boolean }> {
  const lines = [
    "EHLO proxy",
    `XCLIENT ADDR=${letter.ip.includes(":") ? "IPV6:" : ""}${letter.ip} NAME=[UNAVAILABLE]`,
    `EHLO ${letter.helo ?? "mail.example.org"}`,
    `MAIL FROM:<${letter.sender}>`,
    "RCPT TO:<bob@example.test>",
    "DATA",
  ];
  for (const line of lines) {
    const reply = await smtp.say(`${line}\r\n`);
    if (!/^[23]/.test(reply)) return { reply, early: true };
  }
  const text = letter.raw.toString("latin1").replace(/(^|\r\n)\./g, "$1..");
  return { reply: await smtp.say(`${text}${text.endsWith("\r\n") ? "" : "\r\n"}.\r\n`), early: false };
}

/** A key pair with the value of its record. */
export interface TestKey {
  readonly privateKey: string;
  readonly record: string;
}

export function testKey(bits = 2048): TestKey {
  const pair = generateKeyPairSync("rsa", { modulusLength: bits });
  const der = (key: KeyObject): string => key.export({ type: "spki", format: "der" }).toString("base64");
  return {
    privateKey: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    record: `v=DKIM1; k=rsa; p=${der(pair.publicKey)}`,
  };
}

/** The message with a signature of `domain` on top. */
export async function signedWith(
  key: TestKey,
  raw: Buffer,
  options: { readonly domain: string; readonly selector: string; readonly maxBodyLength?: number },
): Promise<Buffer> {
  const one = { signingDomain: options.domain, selector: options.selector, privateKey: key.privateKey };
  const length = options.maxBodyLength === undefined ? {} : { maxBodyLength: options.maxBodyLength };
  const signTime = new Date(Date.now() - 60_000);
  const { signatures, errors } = await dkimSign(raw, {
    ...one,
    signTime,
    signatureData: [{ ...one, ...length }],
  });
  if (errors.length > 0) throw new Error(`cannot sign: ${JSON.stringify(errors)}`);
  return Buffer.concat([Buffer.from(signatures), raw]);
}
