// kill -9 at any moment in a world where something else is wrong too: servers that say no, a full disk, a database, a body or a kept message
// unlinked, a backup under way; with cut-through and without. Whatever was answered 250 is delivered, returned, or kept in the quarantine, and a
// start that misses something says what and refuses. WORLD_ROUNDS (8, each world once) and CRASH_SEED set how often and how the dice fall.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, PATIENCE_MS, runCommand, waitUntil } from "../peers/run-command.ts";
import { answersOnSocket, type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { isRoot, isRunning } from "../run/gateway-kit.ts";
import { dice } from "./dice.ts";
import { type LoadClient, startLoad } from "./load-client.ts";
import {
  keptIn,
  messageMaker,
  NOTIFIED,
  noteArrival,
  promised,
  refusalPolicy,
  refuseAfterDot,
  refuser,
  type Seen,
} from "./promised-mail.ts";
import { rowsOf } from "./rows-of.ts";
import { makeWorld, type ServersMood, type Surroundings, type World } from "./worlds.ts";

const ROUNDS = Number(process.env.WORLD_ROUNDS ?? 8);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
/** The longest the mail flows before something goes wrong, and then before the kill. */
const FLOW_MS = 600;
const START_MS = 120_000;
const DISK_BYTES = 192 * 1024 * 1024;
// A small disk over the data directory; the boot file is the last argument and lies beside it.
const MOUNT = `for boot; do :; done
data=$(dirname "$boot")/data
mkdir -p "$data" && { mountpoint -q "$data" || mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$data"; } && exec "$@"`;

const mayMount =
  isRoot && Bun.spawnSync(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).exitCode === 0;
if (!mayMount) console.log("SKIPPED the worlds: mounting a small disk needs root");

const scratch = mkdtempSync(join(tmpdir(), "gatepost-worlds-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** True when it answers; false when it ended. */
async function starts(gateway: RunningGateway): Promise<boolean> {
  const until = performance.now() + START_MS;
  gateway.launch();
  while (performance.now() < until) {
    if (!isRunning(gateway.pid())) return false;
    if (await answersOnSocket(gateway.data)) return true;
    await Bun.sleep(20);
  }
  throw new Error(`it neither runs nor ends after ${START_MS} ms:\n${gateway.output().slice(-2000)}`);
}

/** Starts it in the world; mends that, and starts it again if it had refused. True: it had. */
async function startIn(world: World, gateway: RunningGateway): Promise<boolean> {
  const from = gateway.output().length;
  const runs = await starts(gateway);
  const said = gateway.output().slice(from);
  world.mend();
  if (runs) return false;
  expect([world.name, said]).toEqual([world.name, expect.stringMatching(world.refusal ?? /never/)]);
  // What ended is reaped, and its lock is gone.
  await gateway.kill9();
  expect([world.name, await starts(gateway)]).toEqual([world.name, true]);
  return true;
}

async function playRounds(
  around: Surroundings,
  loads: readonly LoadClient[],
  setCutThrough: (on: boolean) => Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  const { gateway, random } = around;
  const worlds = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 4 === 0) await setCutThrough(round % 8 === 0);
    const before = loads.map(({ accepted }) => accepted.size);
    await waitUntil("mail is taken", () =>
      loads.every(({ accepted }, i) => accepted.size > (before[i] ?? 0)),
    );
    await Bun.sleep(random() * FLOW_MS);
    const world = makeWorld(round, around);
    await Bun.sleep(random() * FLOW_MS);
    await gateway.kill9();
    const refused = await startIn(world, gateway);
    const name = `${world.name}${refused ? ", start refused" : ""}`;
    worlds.set(name, (worlds.get(name) ?? 0) + 1);
  }
  return worlds;
}

test.skipIf(!mayMount)(
  `${ROUNDS} rounds of kill -9 in a world that is out of joint: delivered, returned or kept`,
  async () => {
    const seen: Seen = { delivered: new Set(), returned: new Set(), torn: [] };
    const servers: ServersMood = { say: null };
    const byName = refuser();
    const sink = await startMailSink({
      onMessage: (message) => noteArrival(seen, message),
      // Notices are taken: one that is refused is kept as well, but not under the subject of what it returns.
      refuseRecipient: (address) => (address === NOTIFIED ? null : servers.say) ?? byName(address),
      refuseMessage: (message) => (message.sender === "" ? null : servers.say) ?? refuseAfterDot(message),
    });
    const ports = { ...(await freePorts("mx", "lan")), sink: sink.port };
    const gateway = await runGateway({
      policy: refusalPolicy(ports, { cutThrough: true }),
      launcher: ["sh", "-c", MOUNT, "sh"],
    });
    const client = { connections: 3, pauseMs: 25 };
    const loads = [
      startLoad({ ...client, port: ports.mx, next: messageMaker("in", SEED) }),
      startLoad({ ...client, port: ports.mx, next: messageMaker("cut", SEED) }),
      startLoad({ ...client, port: ports.lan, next: messageMaker("out", SEED) }),
    ];
    try {
      const around = { gateway, servers, scratch, random: dice(SEED) };
      const worlds = await playRounds(around, loads, (on) =>
        gateway.apply(refusalPolicy(ports, { cutThrough: on })),
      );
      for (const load of loads) await load.stop();

      const all = promised(loads);
      const isOut = (key: string) => key.startsWith("out-");
      const isOpen = (key: string) => !seen.delivered.has(key) && !seen.returned.has(key);
      await gateway.command("queue", "retry");
      await waitUntil("the queue is empty", async () => (await gateway.queued()) === 0);
      const from = performance.now();
      // A notice waits for what may still be told with it.
      while (all.some((key) => isOut(key) && isOpen(key)) && performance.now() - from < PATIENCE_MS + 60_000)
        await Bun.sleep(200);
      expect(await gateway.stop()).toBe(0);

      const kept = await keptIn(gateway.data);
      const lost = all.filter((key) => isOpen(key) && !kept.has(key));
      console.log(
        `seed ${SEED}: ${all.length} recipients answered 250 in ${ROUNDS} rounds: ${all.filter((key) => seen.delivered.has(key)).length} delivered, ${all.filter((key) => seen.returned.has(key)).length} returned, ${all.filter((key) => kept.has(key)).length} kept, ${lost.length} lost; ${seen.torn.length} torn\n${[...worlds].map(([name, times]) => `  ${times} × ${name}`).join("\n")}`,
      );
      expect({ seed: SEED, lost: lost.length, first: lost.slice(0, 5) }).toEqual({
        seed: SEED,
        lost: 0,
        first: [],
      });
      expect(seen.torn).toEqual([]);
      expect(all.length).toBeGreaterThan(ROUNDS * 5);
      for (const name of ["spool.db", "gatepost.db"])
        expect(await rowsOf(join(gateway.data, name), "PRAGMA integrity_check")).toEqual([["ok"]]);
    } finally {
      for (const load of loads) await load.stop();
      await gateway.stop();
      await runCommand(["umount", "-l", gateway.data]);
      await gateway.dispose();
      await sink.close();
    }
  },
  ROUNDS * 60_000 + 300_000,
);
