// What one user of the gateway can do to the others: it takes more than its share in a 512 MB cgroup while small mail of somebody else is timed
// from its first octet to its arrival. No figure where there is no cgroup to put it in.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { freePorts, waitForGreeting } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import type { ContestantName } from "./contestant.ts";
import { machineCpuSeconds, waitForQuiet } from "./quiet-machine.ts";
import type { UnfairResult } from "./result.ts";
import type { UnfairWorkload } from "./workload.ts";

const root = join(import.meta.dirname, "../..");
const LIMIT_BYTES = 512 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;
const PROBE_EVERY_MS = 50;
const PROBE_MS = 30_000;

/** A cgroup with the limit; null where none can be made. */
interface Cage {
  readonly launcher: readonly string[];
  peakBytes(): number;
  killed(): boolean;
  remove(): void;
}

function openCage(): Cage | null {
  const name = `gatepost-unfair-${process.pid}`;
  const second = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const folder = join(second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", name);
  const files = second
    ? { limit: "memory.max", peak: "memory.peak", kills: "memory.events" }
    : { limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes", kills: "memory.oom_control" };
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, files.limit), String(LIMIT_BYTES));
  } catch {
    return null;
  }
  return {
    launcher: ["sh", "-c", `echo $$ > ${join(folder, "cgroup.procs")} && exec "$@"`, "sh"],
    peakBytes: () => Number(readFileSync(join(folder, files.peak), "utf8")),
    killed: () => /oom_kill [1-9]/.test(readFileSync(join(folder, files.kills), "utf8")),
    remove: () => rmdirSync(folder),
  };
}

/** Where probes arrive: by their number, when. */
async function startArrivals() {
  const { sink } = await freePorts("sink");
  const arrived = new Map<string, number>();
  const server = Bun.listen<{ text: string; data: boolean; seen: boolean }>({
    hostname: "127.0.0.1",
    port: sink,
    socket: {
      open(socket) {
        socket.data = { text: "", data: false, seen: false };
        socket.write("220 sink.example.test\r\n");
      },
      data(socket, chunk) {
        const state = socket.data;
        if (state.data) {
          // Large messages are read and forgotten; of a small one the number stands in its first octets.
          if (!state.seen) {
            const number = /X-Probe: (\d+)/.exec(chunk.toString("latin1", 0, 4096))?.[1];
            if (number !== undefined && !arrived.has(number)) arrived.set(number, performance.now());
            state.seen = true;
          }
          state.text = (state.text + chunk.toString("latin1", Math.max(0, chunk.length - 5))).slice(-5);
          if (state.text !== "\r\n.\r\n") return;
          state.data = false;
          state.seen = false;
          state.text = "";
          socket.write("250 Ok\r\n");
          return;
        }
        for (const line of chunk.toString("latin1").split("\r\n").slice(0, -1)) {
          if (/^DATA/i.test(line)) {
            state.data = true;
            socket.write("354 Go ahead\r\n");
          } else if (/^QUIT/i.test(line)) socket.end("221 Bye\r\n");
          else socket.write("250 Ok\r\n");
        }
      },
    },
  });
  return { port: sink, arrived, close: () => server.stop(true) };
}

/** One small message on its own connection. */
async function probe(port: number, number: string): Promise<string> {
  const smtp = await openDialogue(port);
  try {
    for (const line of [
      "EHLO probe.example.net",
      "MAIL FROM:<carol@example.net>",
      "RCPT TO:<dave@other.test>",
      "DATA",
    ]) {
      const reply = await smtp.say(`${line}\r\n`);
      if (!/^[23]/.test(reply)) return reply;
    }
    return await smtp.say(`From: <carol@example.net>\r\nX-Probe: ${number}\r\n\r\nHello.\r\n.\r\n`);
  } finally {
    smtp.close();
  }
}

/** Milliseconds of each probe that was sent while `going` said so; Infinity for one that was refused or never came. */
async function timeOthers(
  port: number,
  arrived: ReadonlyMap<string, number>,
  going: () => boolean,
): Promise<{ readonly ms: readonly number[]; readonly refusals: readonly string[] }> {
  const running: Promise<number>[] = [];
  const refusals: string[] = [];
  for (let n = 1; going(); n++) {
    running.push(
      (async () => {
        const from = performance.now();
        const reply = await Promise.race([
          probe(port, String(n)).catch(String),
          Bun.sleep(PROBE_MS).then(() => "no answer"),
        ]);
        if (!reply.startsWith("250")) {
          refusals.push(reply);
          return Number.POSITIVE_INFINITY;
        }
        while (!arrived.has(String(n)) && performance.now() - from < PROBE_MS) await Bun.sleep(5);
        return (arrived.get(String(n)) ?? Number.POSITIVE_INFINITY) - from;
      })(),
    );
    await Bun.sleep(PROBE_EVERY_MS);
  }
  return { ms: await Promise.all(running), refusals };
}

interface Load {
  /** What it said when it had begun. */
  readonly begun: { readonly ports?: readonly number[] };
  /** Its last word; null while it runs. */
  last(): { readonly replies?: readonly string[] } | null;
  end(): Promise<void>;
}

async function startLoad(...args: readonly (string | number)[]): Promise<Load> {
  const command = [process.execPath, "test/bench/child/unfair-load.ts", ...args.map(String)];
  const child = Bun.spawn(command, { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const lines: object[] = [];
  const first = Promise.withResolvers<void>();
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const whole = (rest + chunk).split("\n");
      rest = whole.pop() ?? "";
      lines.push(...whole.map((line): object => JSON.parse(line)));
      if (lines.length > 0) first.resolve();
    }
    first.resolve();
  })();
  await first.promise;
  return {
    begun: lines[0] ?? {},
    last: () => (child.exitCode === null ? null : (lines.at(-1) ?? {})),
    async end() {
      child.kill();
      await child.exited;
    },
  };
}

interface Scene {
  readonly name: string;
  /** Begins the unfair use; resolves to what says whether it goes on, and how it went. */
  begin(
    gateway: RunningGateway,
    ports: { readonly mx: number },
  ): Promise<{
    readonly going: () => boolean;
    readonly words: () => string;
    readonly end: () => Promise<void>;
  }>;
}

/** Goes on for so long after it has begun. */
function held(load: Load, forMs: number, words: string) {
  const until = performance.now() + forMs;
  return { going: () => performance.now() < until, words: () => words, end: () => load.end() };
}

const SCENES: readonly Scene[] = [
  {
    name: "20 × 50 MB at once",
    async begin(_, { mx }) {
      const load = await startLoad("large", mx, 20, 49 * MEGABYTE);
      const until = performance.now() + 300_000;
      return {
        going: () => load.last() === null && performance.now() < until,
        words() {
          const replies = load.last()?.replies ?? [];
          const taken = replies.filter((reply) => reply.startsWith("250")).length;
          const other = replies.find((reply) => !reply.startsWith("250"));
          return `${taken} of 20 taken${other === undefined ? "" : ` (${other})`}`;
        },
        end: () => load.end(),
      };
    },
  },
  {
    name: "13 held half-bodies of 40 MB",
    begin: async (_, { mx }) => held(await startLoad("half", mx, 13, 40 * MEGABYTE), 8000, "held"),
  },
  {
    name: "4 slow receivers, 40 × 1 MB for each",
    begin: (gateway, { mx }) => slowReceivers(gateway, mx, 4),
  },
  {
    name: "5,000 idle console connections",
    begin: async (gateway) => held(await startLoad("idle", gateway.consolePort, 5000), 8000, "held"),
  },
  {
    name: "a hostile expression, (.{0,1000}) × 40",
    begin: (gateway, { mx }) => hostileExpression(gateway, mx),
  },
];

/** A sender whose header is taken apart by an expression that explodes: it is refused when it is set, or it costs the others nothing. */
async function hostileExpression(gateway: RunningGateway, mx: number) {
  const expression = "(.{0,1000})".repeat(40);
  const sender = `[[sender]]
kind = "ip"
range = "127.0.0.1/32"
domain = "other.test"
identify_by = { header = "X-Who", extract = "${expression}" }
`;
  const words = await gateway.apply(sender).then(
    () => "taken",
    (error: unknown) =>
      `refused: ${/extract[^\n]{0,120}/.exec(String(error))?.[0] ?? String(error).slice(0, 160)}`,
  );
  if (words === "taken") {
    const smtp = await openDialogue(mx);
    for (const line of ["EHLO a.example", "MAIL FROM:<a@other.test>", "RCPT TO:<x@example.test>", "DATA"])
      await smtp.say(`${line}\r\n`);
    void smtp.say(`From: <a@other.test>\r\nX-Who: ${"a".repeat(900)}\r\n\r\nx\r\n.\r\n`).catch(() => "");
  }
  const until = performance.now() + 8000;
  return { going: () => performance.now() < until, words: () => words, end: async () => {} };
}

async function slowReceivers(gateway: RunningGateway, mx: number, count: number) {
  const servers = await startLoad("slow", 0, count);
  const slow = (servers.begun.ports ?? []).map(
    (port, n) =>
      `[[domain]]\nname = "slow${n}.test"\nrules = []\nroutes = [{ host = "127.0.0.1", port = ${port}, tls = "none" }]\nrecipients = { verify = "catch-all" }\n`,
  );
  await gateway.apply(slow.join(""));
  const body = `Subject: x\r\nFrom: <alice@example.org>\r\n\r\n${`${"x".repeat(76)}\r\n`.repeat(13_000)}`;
  await Promise.all(
    slow.map(async (_, n) => {
      const smtp = await openDialogue(mx);
      await smtp.say("EHLO client.example.org\r\n");
      for (let i = 0; i < 40; i++) {
        await smtp.say("MAIL FROM:<alice@example.org>\r\n");
        await smtp.say(`RCPT TO:<x@slow${n}.test>\r\n`);
        await smtp.say("DATA\r\n");
        await smtp.say(`${body}.\r\n`);
      }
      smtp.close();
    }),
  );
  return held(servers, 8000, "held");
}

function policyFor(mx: number, sink: number): string {
  const domain = (name: string) =>
    `[[domain]]\nname = "${name}"\nroutes = [{ host = "127.0.0.1", port = ${sink}, tls = "none" }]\nrecipients = { verify = "catch-all" }\nrules = ["virus", "dangerous-attachments"]\n`;
  return `[[listener]]\nname = "mx"\nlisten = "127.0.0.1:${mx}"\ngreeting_delay = 0\n${domain("example.test")}${domain("other.test")}`;
}

/** The scenes one after the other, each with a fresh gateway in its own cgroup. */
export async function measureUnfair(
  { name }: UnfairWorkload,
  { contestant, round }: { readonly contestant: ContestantName; readonly round: number },
  binary: string,
): Promise<UnfairResult> {
  const quiet = await waitForQuiet();
  const begun = { at: performance.now(), machine: machineCpuSeconds() };
  const scenes: UnfairResult["scenes"][number][] = [];
  for (const scene of SCENES) scenes.push(await playScene(scene, binary));
  // What the gateway, its senders and its receivers use cannot be told from what others do here: the most it can have been.
  const foreignCpuSeconds = Math.max(0, machineCpuSeconds() - begun.machine);
  const wallSeconds = (performance.now() - begun.at) / 1000;
  return {
    kind: "unfair",
    at: new Date().toISOString(),
    workload: name,
    contestant,
    round,
    quiet,
    load: loadavg()[0] ?? 0,
    foreignCpuSeconds,
    foreignShare: Math.max(0, foreignCpuSeconds / wallSeconds / cpus().length - 1),
    scenes,
  };
}

async function playScene(scene: Scene, binary: string): Promise<UnfairResult["scenes"][number]> {
  const cage = openCage();
  if (cage === null)
    return { name: scene.name, skipped: "no memory cgroup can be made here (root is needed)" };
  const arrivals = await startArrivals();
  const { mx } = await freePorts("mx");
  const gateway = await runGateway({ policy: policyFor(mx, arrivals.port), binary, launcher: cage.launcher });
  try {
    await waitForGreeting(mx);
    // The workers start with the first message.
    await probe(mx, "0");
    const unfair = await scene.begin(gateway, { mx });
    const { ms, refusals } = await timeOthers(mx, arrivals.arrived, unfair.going);
    const sorted = ms.toSorted((a, b) => a - b);
    const p99 =
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? Number.POSITIVE_INFINITY;
    const died = cage.killed() || !existsSync(`/proc/${gateway.pid()}`);
    await unfair.end();
    return {
      name: scene.name,
      skipped: null,
      probes: ms.length,
      medianMs: sorted[Math.floor(sorted.length / 2)] ?? Number.POSITIVE_INFINITY,
      p99Ms: p99,
      worstMs: sorted.at(-1) ?? Number.POSITIVE_INFINITY,
      refusal: refusals[0] ?? null,
      died,
      peakMb: cage.peakBytes() / 1e6,
      words: unfair.words(),
    };
  } finally {
    await gateway.dispose().catch(() => {});
    arrivals.close();
    await Bun.sleep(200);
    cage.remove();
  }
}

/** The lines of the summary. */
export function unfairLines(rounds: readonly UnfairResult[]): readonly string[] {
  return rounds.flatMap(({ scenes }) =>
    scenes.map((scene) => {
      if (scene.skipped !== null) return `  SKIPPED ${scene.name}: ${scene.skipped}`;
      const time = (ms: number) => (Number.isFinite(ms) ? `${ms.toFixed(0)} ms` : "NEVER");
      const refusal = scene.refusal === null ? "" : `; refused: ${scene.refusal}`;
      return `  ${scene.name}: ${scene.died ? "DIED" : "alive"}, ${scene.words}; others: p99 ${time(scene.p99Ms)}, median ${time(scene.medianMs)}, worst ${time(scene.worstMs)} of ${scene.probes}${refusal}; peak ${scene.peakMb.toFixed(0)} MB with file pages`;
    }),
  );
}
