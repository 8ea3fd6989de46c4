// kill -9 under load while the servers behind say no: at RCPT, after the dot, at the second try, to some of a message's recipients.
// Every recipient of every message that was answered 250 is delivered, returned to its sender, or kept in the quarantine with its body.
// CRASH_ROUNDS (6) and CRASH_SEED set how often and how the dice fall.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type SinkRefusal, type SunkMessage, startMailSink } from "../peers/mail-sink.ts";
import { freePorts, PATIENCE_MS, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { dice } from "./dice.ts";
import { type LoadClient, type LoadMessage, startLoad } from "./load-client.ts";
import { rowsOf } from "./rows-of.ts";

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 6);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const CLIENTS = 3;
const PAUSE_MS = 15;
/** Longer than what is kept in the database row, so that body files are part of the game. */
const LARGE_BYTES = 100_000;
/** The longest the mail flows before a kill. */
const FLOW_MS = 1000;
const SENDER = "load@example.test";
const SERVERS_WORD = /^55[04] 5\.\d\.\d (?:no such user|not this one|and now for good)$/;
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
function messageMaker(way: keyof typeof WAYS): () => LoadMessage {
  let number = 0;
  return () => {
    number += 1;
    const id = `${way}-${SEED}-${number}`;
    const domain = WAYS[way];
    const recipients = KINDS[number % KINDS.length]?.(number, domain) ?? [];
    const body = FILLER.repeat(Math.ceil((number % 11 === 0 ? LARGE_BYTES : 1500) / FILLER.length));
    const text = `From: <${SENDER}>\r\nTo: <one@${domain}>\r\nSubject: ${id}\r\n\r\n${body}end ${id}`;
    return { id, sender: way === "out" ? SENDER : "stranger@elsewhere.example", recipients, text };
  };
}

function policy(ports: { readonly mx: number; readonly lan: number }, sink: number): string {
  const domains = ["example.test", "cut.test"]
    .flatMap((name) => [name, `second.${name}`, `third.${name}`])
    .map(
      (name) => `
[[domain]]
name = "${name}"
routes = [{ host = "127.0.0.1", port = ${sink}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = []
cut_through = ${name.endsWith("cut.test")}
`,
    );
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
tls = "none"
greeting_delay = 0
relay = []

[[listener]]
name = "lan"
listen = "127.0.0.1:${ports.lan}"
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
interface Seen {
  readonly delivered: Set<string>;
  readonly returned: Set<string>;
  readonly torn: string[];
}

function noteArrival({ delivered, returned, torn }: Seen, { sender, recipients, text }: SunkMessage): void {
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
function refuser(): (address: string) => SinkRefusal | null {
  const putOff = new Set<string>();
  return (address) => {
    if (address.startsWith("unknown@")) return { code: 550, text: "5.1.1 no such user" };
    if (!address.startsWith("later-")) return null;
    if (putOff.has(address)) return { code: 550, text: "5.7.1 and now for good" };
    putOff.add(address);
    return { code: 450, text: "4.2.0 not yet" };
  };
}

async function killAgainAndAgain(gateway: RunningGateway, loads: readonly LoadClient[]): Promise<void> {
  const random = dice(SEED);
  for (let round = 1; round <= ROUNDS; round++) {
    const before = loads.map(({ accepted }) => accepted.size);
    if (round % 3 !== 0)
      await waitUntil("mail is taken", () =>
        loads.every(({ accepted }, i) => accepted.size > (before[i] ?? 0)),
      );
    await Bun.sleep(random() * FLOW_MS);
    await gateway.kill9();
    gateway.launch();
  }
}

/** What is kept as undeliverable, with its body in the vault. */
async function keptIn(data: string): Promise<ReadonlySet<string>> {
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

/** Recipients of accepted messages. */
function promised(loads: readonly LoadClient[]): readonly string[] {
  return loads.flatMap(({ accepted }) =>
    [...accepted].flatMap(([id, recipients]) => recipients.map((one) => `${id} ${one}`)),
  );
}

test(
  `${ROUNDS} rounds of kill -9 while the servers behind say no: delivered, returned or kept`,
  async () => {
    const seen: Seen = { delivered: new Set(), returned: new Set(), torn: [] };
    const sink = await startMailSink({
      onMessage: (message) => noteArrival(seen, message),
      refuseRecipient: refuser(),
      refuseMessage: ({ recipients }) =>
        recipients.some((one) => one.startsWith("after-data@"))
          ? { code: 554, text: "5.6.0 not this one" }
          : null,
    });
    const ports = await freePorts("mx", "lan");
    const gateway = await runGateway({ policy: policy(ports, sink.port) });
    const client = { connections: CLIENTS, pauseMs: PAUSE_MS };
    const loads = [
      startLoad({ ...client, port: ports.mx, next: messageMaker("in") }),
      startLoad({ ...client, port: ports.mx, next: messageMaker("cut") }),
      startLoad({ ...client, port: ports.lan, next: messageMaker("out") }),
    ];
    try {
      await killAgainAndAgain(gateway, loads);
      await waitUntil("the gateway is back", async () => (await gateway.command("queue", "list")).code === 0);
      for (const load of loads) await load.stop();
      // Only who waits for the server's word hears a refusal, and it is the server's.
      const refusals = loads.map(({ refused }) =>
        [...refused.keys()].filter((reply) => !SERVERS_WORD.test(reply)),
      );
      expect(refusals).toEqual([[], [], []]);
      expect(loads.map(({ refused }) => refused.size > 0)).toEqual([false, true, false]);

      const all = promised(loads);
      const isOut = (key: string) => key.startsWith("out-");
      const isOpen = (key: string) => !seen.delivered.has(key) && !seen.returned.has(key);
      const from = performance.now();
      await waitUntil(
        "the queue is empty",
        async () => (await gateway.command("queue", "list", "--json")).out === "",
      );
      // A notice waits for what may still be told with it.
      while (all.some((key) => isOut(key) && isOpen(key)) && performance.now() - from < PATIENCE_MS + 60_000)
        await Bun.sleep(200);
      expect(await gateway.stop()).toBe(0);

      const kept = await keptIn(gateway.data);
      const lost = all.filter((key) => isOpen(key) && !kept.has(key));
      expect({ seed: SEED, lost: lost.length, first: lost.slice(0, 5) }).toEqual({
        seed: SEED,
        lost: 0,
        first: [],
      });
      // Nobody outside is written to: nothing proves who the strangers are.
      expect([...seen.returned].filter((key) => !isOut(key))).toEqual([]);
      // And what was refused for good is not called delivered.
      expect([...seen.delivered].filter((key) => / (unknown|later-)/.test(key))).toEqual([]);
      expect(seen.torn).toEqual([]);
      const spool = join(gateway.data, "spool.db");
      expect(await rowsOf(spool, "SELECT count(*) FROM message")).toEqual([[0]]);
      expect(await rowsOf(spool, "SELECT count(*) FROM unreported")).toEqual([[0]]);
      for (const name of ["spool.db", "gatepost.db"])
        expect(await rowsOf(join(gateway.data, name), "PRAGMA integrity_check")).toEqual([["ok"]]);
      console.log(
        `seed ${SEED}: ${all.length} recipients answered 250 in ${ROUNDS} kills: ${seen.delivered.size} delivered, ${seen.returned.size} returned, ${kept.size} kept`,
      );
    } finally {
      for (const load of loads) await load.stop();
      await gateway.dispose();
      await sink.close();
    }
  },
  ROUNDS * 30_000 + 240_000,
);
