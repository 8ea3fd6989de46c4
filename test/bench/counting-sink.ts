// Postfix's smtp-sink as the end of a measured way: it counts what arrives, and we note when.
import type { Subprocess } from "bun";
import { freePorts, waitForGreeting } from "../peers/run-command.ts";
import { processTimes } from "./cpu-meter.ts";

/** Nothing more is coming when the count has stood still for so long. */
const STALLED_MS = 30_000;
/** How long to watch for messages that come twice. */
const SETTLE_MS = 1000;

export interface CountingSink {
  readonly port: number;
  /** Forgets what was counted. */
  reset(): void;
  /** Waits until `expected` messages have come, or none has for a while. `lastAt`: performance.now() of the last. */
  arrived(expected: number): Promise<{ readonly count: number; readonly lastAt: number }>;
  /** What counting has cost so far. */
  cpuSeconds(): number;
  close(): Promise<void>;
}

/** Starts `smtp-sink` on a free port. Needs Debian's postfix. */
export async function startCountingSink(): Promise<CountingSink> {
  const { sink: port } = await freePorts("sink");
  let total = 0;
  let base = 0;
  let lastAt = 0;
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child: Subprocess<"ignore", "pipe", "inherit"> = Bun.spawn(
    ["smtp-sink", "-c", ...user, `127.0.0.1:${port}`, "1000"],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const reading = (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of child.stdout) {
      // Lines end in CR: `sess=1 quit=1 mesg=5`. Only the last whole one matters.
      const text = rest + decoder.decode(chunk, { stream: true });
      const end = text.lastIndexOf("\r");
      const count = Number(/mesg=(\d+)$/.exec(text.slice(0, Math.max(end, 0)))?.[1] ?? total);
      rest = text.slice(end + 1);
      if (count > total) lastAt = performance.now();
      total = count;
    }
  })();
  await waitForGreeting(port);
  return {
    port,
    reset() {
      base = total;
      lastAt = performance.now();
    },
    async arrived(expected) {
      while (total - base < expected && performance.now() - lastAt < STALLED_MS) await Bun.sleep(5);
      const end = lastAt;
      await Bun.sleep(SETTLE_MS);
      return { count: total - base, lastAt: end };
    },
    cpuSeconds: () => processTimes(child.pid)?.seconds ?? 0,
    async close() {
      child.kill();
      await child.exited;
      await reading;
    },
  };
}
