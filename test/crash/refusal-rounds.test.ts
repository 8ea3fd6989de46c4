// kill -9 under load while the servers behind say no: at RCPT, after the dot, at the second try, to some of a message's recipients.
// Every recipient of every message that was answered 250 is delivered, returned to its sender, or kept in the quarantine with its body.
// CRASH_ROUNDS (6) and CRASH_SEED set how often and how the dice fall.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, PATIENCE_MS, waitUntil } from "../peers/run-command.ts";
import { answersOnSocket, type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { dice } from "./dice.ts";
import { type LoadClient, startLoad } from "./load-client.ts";
import {
  keptIn,
  messageMaker,
  noteArrival,
  promised,
  refusalPolicy,
  refuseAfterDot,
  refuser,
  type Seen,
} from "./promised-mail.ts";
import { rowsOf } from "./rows-of.ts";

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 6);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const CLIENTS = 3;
const PAUSE_MS = 15;
/** The longest the mail flows before a kill. */
const FLOW_MS = 1000;
const SERVERS_WORD = /^55[04] 5\.\d\.\d (?:no such user|not this one|and now for good)$/;

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

test(
  `${ROUNDS} rounds of kill -9 while the servers behind say no: delivered, returned or kept`,
  async () => {
    const seen: Seen = { delivered: new Set(), returned: new Set(), torn: [] };
    const sink = await startMailSink({
      onMessage: (message) => noteArrival(seen, message),
      refuseRecipient: refuser(),
      refuseMessage: refuseAfterDot,
    });
    const ports = await freePorts("mx", "lan");
    const gateway = await runGateway({
      policy: refusalPolicy({ ...ports, sink: sink.port }, { cutThrough: true }),
    });
    const client = { connections: CLIENTS, pauseMs: PAUSE_MS };
    const loads = [
      startLoad({ ...client, port: ports.mx, next: messageMaker("in", SEED) }),
      startLoad({ ...client, port: ports.mx, next: messageMaker("cut", SEED) }),
      startLoad({ ...client, port: ports.lan, next: messageMaker("out", SEED) }),
    ];
    try {
      await killAgainAndAgain(gateway, loads);
      await waitUntil("the gateway is back", () => answersOnSocket(gateway.data));
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
      await waitUntil("the queue is empty", async () => (await gateway.queued()) === 0);
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
