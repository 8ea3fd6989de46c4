// The mail of the crash rounds in which servers say no: recipients named by what becomes of them, and a book of what became of whom.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SinkRefusal, SunkMessage } from "../peers/mail-sink.ts";
import type { LoadClient, LoadMessage } from "./load-client.ts";
import { rowsOf } from "./rows-of.ts";

/** Longer than what is kept in the database row, so that body files are part of the game. */
const LARGE_BYTES = 100_000;
/** Who sends from here, and is told of what fails. */
export const NOTIFIED = "load@example.test";
const FILLER = `${"All work and no play makes a dull gateway. ".repeat(2)}\r\n`;

/** Recipients by what becomes of them; `n` keeps those apart that are put off first. */
const KINDS: readonly ((n: number, domain: string) => readonly string[])[] = [
  (_, domain) => [`one@${domain}`],
  (_, domain) => [`unknown@${domain}`],
  (_, domain) => [`after-data@${domain}`],
  (n, domain) => [`later-${n}@${domain}`],
  (_, domain) => [`one@${domain}`, `unknown@${domain}`],
  (n, domain) => [
    `one@${domain}`,
    `after-data@second.${domain}`,
    `unknown@third.${domain}`,
    `later-${n}@${domain}`,
  ],
];

/** Which way: stored first (`in`), with the server's word while the sender waits (`cut`), from our own people to the outside (`out`). */
const WAYS = { in: "example.test", cut: "cut.test", out: "outside.example" } as const;

/** Each message ends in its id, so that a torn one shows. */
export function messageMaker(way: keyof typeof WAYS, seed: number): () => LoadMessage {
  let number = 0;
  return () => {
    number += 1;
    const id = `${way}-${seed}-${number}`;
    const domain = WAYS[way];
    const recipients = KINDS[number % KINDS.length]?.(number, domain) ?? [];
    const body = FILLER.repeat(Math.ceil((number % 11 === 0 ? LARGE_BYTES : 1500) / FILLER.length));
    const text = `From: <${NOTIFIED}>\r\nTo: <one@${domain}>\r\nSubject: ${id}\r\n\r\n${body}end ${id}`;
    return { id, sender: way === "out" ? NOTIFIED : "stranger@elsewhere.example", recipients, text };
  };
}

export interface RoundsPorts {
  readonly mx: number;
  readonly lan: number;
  readonly sink: number;
}

/** `cutThrough`: for the domain of the way `cut`. */
export function refusalPolicy(
  { mx, lan, sink }: RoundsPorts,
  options: { readonly cutThrough: boolean },
): string {
  const domains = ["example.test", "cut.test"]
    .flatMap((name) => [name, `second.${name}`, `third.${name}`])
    .map(
      (name) => `
[[domain]]
name = "${name}"
routes = [{ host = "127.0.0.1", port = ${sink}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = []
cut_through = ${options.cutThrough && name.endsWith("cut.test")}
`,
    );
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
tls = "none"
greeting_delay = 0
relay = []

[[listener]]
name = "lan"
listen = "127.0.0.1:${lan}"
tls = "none"
greeting_delay = 0
relay = ["trusted-networks"]

[networks]
trusted = ["127.0.0.1/32"]
${domains.join("")}
[delivery]
smarthost = { host = "127.0.0.1", port = ${sink}, tls = "none" }
retry = ["1s"]
`;
}

/** What became of whom, as far as the outside sees it: `id recipient`. */
export interface Seen {
  readonly delivered: Set<string>;
  readonly returned: Set<string>;
  readonly torn: string[];
}

export function noteArrival(
  { delivered, returned, torn }: Seen,
  { sender, recipients, text }: SunkMessage,
): void {
  if (sender === "") {
    // A notice: the header of the message it returns comes last.
    const id = [...text.matchAll(/^Subject: (\S+)\r$/gm)].at(-1)?.[1] ?? "?";
    for (const [, to] of text.matchAll(/^Final-Recipient: rfc822; (\S+)\r$/gm)) returned.add(`${id} ${to}`);
    return;
  }
  const id = /^Subject: (.+?)\r$/m.exec(text)?.[1] ?? "?";
  if (!text.endsWith(`end ${id}\r\n`)) torn.push(id);
  for (const recipient of recipients) delivered.add(`${id} ${recipient}`);
}

/** Says no as the recipient's name tells. */
export function refuser(): (address: string) => SinkRefusal | null {
  const putOff = new Set<string>();
  return (address) => {
    if (address.startsWith("unknown@")) return { code: 550, text: "5.1.1 no such user" };
    if (!address.startsWith("later-")) return null;
    if (putOff.has(address)) return { code: 550, text: "5.7.1 and now for good" };
    putOff.add(address);
    return { code: 450, text: "4.2.0 not yet" };
  };
}

/** The same after the dot. */
export function refuseAfterDot({ recipients }: SunkMessage): SinkRefusal | null {
  return recipients.some((one) => one.startsWith("after-data@"))
    ? { code: 554, text: "5.6.0 not this one" }
    : null;
}

/** What is kept as undeliverable, with its body in the vault. */
export async function keptIn(data: string): Promise<ReadonlySet<string>> {
  const rows = await rowsOf(
    join(data, "gatepost.db"),
    "SELECT subject, recipient, body_hash, answer FROM quarantine WHERE class = 'undeliverable' AND state = 'kept'",
  );
  const whole = rows.filter(([, , hash, answer]) => {
    const name = String(hash);
    return answer !== "" && existsSync(join(data, "vault", name.slice(0, 2), `${name}.zst`));
  });
  return new Set(whole.map(([subject, recipient]) => `${subject} ${recipient}`));
}

/** Recipients of accepted messages: `id recipient`. */
export function promised(loads: readonly LoadClient[]): readonly string[] {
  return loads.flatMap(({ accepted }) =>
    [...accepted].flatMap(([id, recipients]) => recipients.map((one) => `${id} ${one}`)),
  );
}
