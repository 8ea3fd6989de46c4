// `bun run soak`: hours of steady mail through the gateway while its memory is watched; fails when mail is lost or memory grows.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startLoad } from "../crash/load-client.ts";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";
import { memoryOf } from "./cpu-meter.ts";
import { mimeMessage } from "./mime-message.ts";

const binary = join(import.meta.dirname, "../../dist/gatepost");

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    connections: { type: "string", default: "4" },
    /** Messages per second and connection; 0: as fast as they are answered. */
    pace: { type: "string", default: "20" },
    /** How much more memory the last fifth may use than the second fifth, in MB. */
    growth: { type: "string", default: "40" },
  },
});

function average(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);
}

async function run(): Promise<number> {
  const arrived = new Set<string>();
  const sink = await startMailSink({
    onMessage: ({ text }) => arrived.add(/^X-Test-Id: (.+?)\r$/m.exec(text)?.[1] ?? "?"),
  });
  const { mx } = await freePorts("mx");
  const gateway = await runGateway({
    ...(existsSync(binary) ? { binary } : {}),
    policy: `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
tls = "none"
[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${sink.port}, priority = 10, tls = "none" }]
recipients = { verify = "catch-all" }
rules = ["virus", "subject-marks", "dangerous-attachments"]
`,
  });
  const body = mimeMessage(20_000);
  const pauseMs = Number(options.pace) === 0 ? 0 : 1000 / Number(options.pace);
  let number = 0;
  const load = startLoad({
    port: mx,
    connections: Number(options.connections),
    pauseMs,
    next() {
      number += 1;
      const id = `soak-${number}`;
      const text = `X-Test-Id: ${id}\r\n${body}`;
      return { id, sender: "soak@example.org", recipients: ["one@example.test"], text };
    },
  });
  try {
    const samples: number[] = [];
    const end = Date.now() + Number(options.minutes) * 60_000;
    const everyMs = Math.max(1000, (Number(options.minutes) * 60_000) / 100);
    while (Date.now() < end) {
      await Bun.sleep(Math.min(everyMs, Math.max(0, end - Date.now())));
      samples.push(memoryOf([gateway.pid()]).pss / 1e6);
      const latest = samples.at(-1)?.toFixed(0) ?? "?";
      console.log(
        `${new Date().toISOString()}  ${latest} MB, ${load.accepted.size} accepted, ${arrived.size} arrived`,
      );
    }
    await load.stop();
    await waitUntil("everything has arrived", () => [...load.accepted.keys()].every((id) => arrived.has(id)));
    const fifth = Math.floor(samples.length / 5);
    const early = average(samples.slice(fifth, 2 * fifth));
    const late = average(samples.slice(-fifth));
    console.log(
      `${load.accepted.size} messages, none lost; memory ${early.toFixed(0)} MB early, ${late.toFixed(0)} MB late`,
    );
    if (load.refused.size > 0) console.log("refused:", Object.fromEntries(load.refused));
    return late - early <= Number(options.growth) && load.refused.size === 0 ? 0 : 1;
  } finally {
    await load.stop();
    await gateway.dispose();
    await sink.close();
  }
}

process.exitCode = await run();
