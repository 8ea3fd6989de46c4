// kill -9 under load, again and again: everything answered 250 arrives, what comes twice was in flight at a kill, and the
// databases are whole; with cut-through and without. CRASH_ROUNDS (6; `npm run crash`: 100) and CRASH_SEED set how often and how the dice fall.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, PATIENCE_MS, waitUntil } from "../peers/run-command.ts";
import { answersOnSocket, type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { type ArrivalBook, openArrivalBook } from "./arrival-book.ts";
import { dice } from "./dice.ts";
import { type LoadClient, type LoadMessage, startLoad } from "./load-client.ts";
import { rowsOf } from "./rows-of.ts";

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 6);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const CLIENTS = 10;
const DELIVERIES = 8;
const DOMAINS = ["example.test", "second.test"] as const;
/** Longer than what is kept in the database row, so that body files are part of the game. */
const LARGE_BYTES = 100_000;
/** How long what a killed process had sent may take to be noted here. */
const SETTLE_MS = 50;
/** The longest the mail flows before a kill. */
const FLOW_MS = 1200;

const FILLER = `${"All work and no play makes a dull gateway. ".repeat(2)}\r\n`;

/** Small and large messages, for one domain and for both; each ends in its id, so that a torn one shows. */
function messageMaker(): () => LoadMessage {
  let number = 0;
  return () => {
    number += 1;
    const id = `crash-${SEED}-${number}`;
    const recipients = DOMAINS.slice(0, number % 7 === 0 ? 2 : 1).map((domain) => `one@${domain}`);
    const body = FILLER.repeat(Math.ceil((number % 11 === 0 ? LARGE_BYTES : 1500) / FILLER.length));
    const text = `From: <load@example.org>\r\nTo: <one@example.test>\r\nSubject: ${id}\r\n\r\n${body}end ${id}`;
    return { id, sender: "load@example.org", recipients, text };
  };
}

function policy(mx: number, sinkPort: number, cutThrough: boolean): string {
  const domains = DOMAINS.map(
    (domain) => `
[[domain]]
name = "${domain}"
routes = [{ host = "127.0.0.1", port = ${sinkPort}, priority = 10, tls = "none" }]
recipients = { verify = "catch-all" }
cut_through = ${cutThrough}
rules = []
`,
  );
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
tls = "none"
greeting_delay = 0
${domains.join("")}
[delivery]
max_connections_per_destination = ${DELIVERIES}
retry = ["1s"]
`;
}

async function killAgainAndAgain(
  gateway: RunningGateway,
  load: LoadClient,
  book: ArrivalBook,
): Promise<void> {
  const random = dice(SEED);
  for (let round = 1; round <= ROUNDS; round++) {
    const before = load.accepted.size;
    // Every fifth kill comes while the gateway is still starting; the others while mail flows.
    if (round % 5 !== 0) await waitUntil("mail is taken", () => load.accepted.size > before);
    await Bun.sleep(random() * FLOW_MS);
    await gateway.kill9();
    await Bun.sleep(SETTLE_MS);
    book.killed();
    gateway.launch();
  }
}

/** Waits until all has arrived, or nothing comes any more; what is missing then. */
async function lostMail(load: LoadClient, book: ArrivalBook): Promise<readonly string[]> {
  const expected = [...load.accepted].flatMap(([id, recipients]) => recipients.map((one) => ({ id, one })));
  const missing = () => expected.filter(({ id, one }) => !book.has(id, one));
  const from = performance.now();
  while (missing().length > 0 && performance.now() - Math.max(from, book.lastAt()) < PATIENCE_MS)
    await Bun.sleep(100);
  return missing().map(({ id, one }) => `${id} ${one}`);
}

/** After a clean stop: both databases are whole, the spool is empty, and the log knows every accepted message as delivered. */
async function expectWhole(data: string, load: LoadClient): Promise<void> {
  const [spool, log] = [join(data, "spool.db"), join(data, "gatepost.db")];
  expect(await rowsOf(spool, "PRAGMA integrity_check")).toEqual([["ok"]]);
  expect(await rowsOf(log, "PRAGMA integrity_check")).toEqual([["ok"]]);
  expect(await rowsOf(spool, "SELECT count(*) FROM message")).toEqual([[0]]);
  const delivered = new Set(
    (
      await rowsOf(
        log,
        "SELECT subject, address FROM message JOIN message_recipient ON message_id = message.id WHERE message_recipient.state = 'delivered'",
      )
    ).map(([subject, address]) => `${subject} ${address}`),
  );
  const unknown = [...load.accepted].flatMap(([id, recipients]) =>
    recipients.map((one) => `${id} ${one}`).filter((key) => !delivered.has(key)),
  );
  expect(unknown.slice(0, 5)).toEqual([]);
}

test.each([
  ["with cut-through", true],
  ["without", false],
] as const)(
  `${ROUNDS} rounds of kill -9 under load lose nothing, %s`,
  async (_, cutThrough) => {
    const book = openArrivalBook();
    const torn: string[] = [];
    const sink = await startMailSink({
      onMessage({ text, recipients }) {
        const id = /^Subject: (.+?)\r$/m.exec(text)?.[1] ?? "?";
        if (!text.endsWith(`end ${id}\r\n`)) torn.push(id);
        for (const recipient of recipients) book.note(id, recipient);
      },
    });
    const { mx } = await freePorts("mx");
    const gateway = await runGateway({ policy: policy(mx, sink.port, cutThrough) });
    const load = startLoad({ port: mx, connections: CLIENTS, next: messageMaker() });
    try {
      await killAgainAndAgain(gateway, load, book);
      await waitUntil("the gateway is back", () => answersOnSocket(gateway.data));
      await load.stop();

      const lost = await lostMail(load, book);
      expect({ seed: SEED, lost: lost.length, first: lost.slice(0, 5) }).toEqual({
        seed: SEED,
        lost: 0,
        first: [],
      });
      expect(torn).toEqual([]);
      expect([...load.refused]).toEqual([]);
      const { perKill, unexplained } = book.repeats();
      expect(unexplained).toBe(0);
      // An attempt keeps its place until its result is on disk, and carries one message: a kill leaves in doubt, for each
      // destination, one message for each connection it may have. (Not for each that is open: while one result is on its way to the
      // disk, its connection already carries the next message, in a place of its own.)
      const mostInOneKill = Math.max(0, ...perKill.values());
      expect(mostInOneKill).toBeLessThanOrEqual(DELIVERIES);

      await waitUntil("the queue is empty", async () => (await gateway.queued()) === 0);
      expect(await gateway.stop()).toBe(0);
      await expectWhole(gateway.data, load);
      const twice = [...perKill.values()].reduce((sum, count) => sum + count, 0);
      console.log(
        `seed ${SEED}: ${load.accepted.size} messages accepted, ${twice} arrived twice in ${ROUNDS} kills, at most ${mostInOneKill} for one destination`,
      );
    } finally {
      await load.stop();
      await gateway.dispose();
      await sink.close();
    }
  },
  ROUNDS * 30_000 + 180_000,
);
