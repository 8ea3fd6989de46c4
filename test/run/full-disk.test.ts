// A data directory on a small disk that fills up: mail is refused with 452 while it lasts, people are told, it passes by itself,
// and nothing that was answered 250 is lost.
import { expect, test } from "bun:test";
import { existsSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, runCommand, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import {
  alarmNames,
  askConsole,
  isRoot,
  sendOne,
  setUpWith,
  setupCodeIn,
  smallPolicy,
  withEnvironment,
} from "./gateway-kit.ts";

const DISK_BYTES = 48 * 1024 * 1024;
// Mounted over the data directory before the gateway starts; the boot file is the last argument and lies beside it.
const MOUNT = `for boot; do :; done
data=$(dirname "$boot")/data
mkdir -p "$data" && { mountpoint -q "$data" || mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$data"; } && exec "$@"`;

const mayMount =
  isRoot && Bun.spawnSync(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).exitCode === 0;
if (!mayMount) console.log("SKIPPED the full disk: mounting a small one needs root");

/** Takes all the space but `leave` octets; the way to give it back. */
function fill(gateway: RunningGateway, leave: number): () => void {
  const { bavail, bsize } = statfsSync(gateway.data);
  const file = join(gateway.data, "filler");
  try {
    writeFileSync(file, new Uint8Array(Math.max(0, bavail * bsize - leave)));
  } catch (error) {
    // The gateway was a little quicker: then it is full all the same.
    if (leave > 0) throw error;
  }
  return () => rmSync(file);
}

const LARGE = `${"x".repeat(70)}\r\n`.repeat(4000);
const SMALL = `${"x".repeat(70)}\r\n`.repeat(60);

test.skipIf(!mayMount)(
  "a full disk refuses mail in time, says so, and recovers by itself",
  async () => {
    const arrived: string[] = [];
    const sink = await startMailSink({
      onMessage: ({ text }) => arrived.push(/^Subject: (.+?)\r$/m.exec(text)?.[1] ?? "?"),
    });
    const ports = await freePorts("mx", "metrics");
    const gateway = await runGateway({
      policy: smallPolicy(ports.mx, sink.port),
      launcher: [
        ...withEnvironment({ GATEPOST_METRICS_LISTEN: `127.0.0.1:${ports.metrics}` }),
        ...["sh", "-c", MOUNT, "sh"],
      ],
    });
    const health = () => fetch(`http://127.0.0.1:${ports.metrics}/healthz`);
    try {
      const cookie = await setUpWith(gateway, setupCodeIn(gateway.output()), "admin@example.test");
      const overview = async () => (await askConsole(gateway, "/", { cookie: cookie ?? "" })).text();
      const accepted = new Set<string>();
      const refusals = new Set<string>();
      const send = async (subject: string, body: string): Promise<void> => {
        const reply = await sendOne(ports.mx, { subject, body });
        if (reply.startsWith("250")) accepted.add(subject);
        else refusals.add(reply);
      };
      expect((await health()).status).toBe(200);
      await send("before", SMALL);
      expect(accepted.size).toBe(1);

      // First the large ones find no place, then the small ones. All at once: one by one each might be gone before the next.
      const free = fill(gateway, 1_500_000);
      await Promise.all(Array.from({ length: 24 }, (_one, n) => send(`large ${n}`, LARGE)));
      expect(refusals.size).toBeGreaterThan(0);
      for (let n = 0; refusals.size > 0 && n < 2000; n++) {
        const before = accepted.size;
        await Promise.all(Array.from({ length: 10 }, (_one, k) => send(`small ${n}-${k}`, SMALL)));
        if (accepted.size === before) break;
      }
      for (const reply of refusals) expect(reply).toStartWith("452 4.3.1");
      const ill = await health();
      expect(ill.status).toBe(503);
      expect(((await ill.json()) as { problems: string[] }).problems.join()).toContain(
        "There is no space for mail",
      );
      expect(await alarmNames(gateway)).toContain("disk-full");
      expect(await overview()).toContain("There is no space for mail");
      // It still answers, and says what waits.
      expect((await gateway.command("queue", "list", "--json")).code).toBe(0);

      // A backup that finds no place leaves no half of one, and does no harm to what goes on.
      const copy = join(gateway.data, "copy");
      expect((await gateway.command("backup", copy)).code).toBe(1);
      expect(existsSync(copy)).toBe(false);

      free();
      await waitUntil(
        "all is well again, without any mail coming",
        async () => (await health()).status === 200,
      );
      await send("after", SMALL);
      expect(accepted.has("after")).toBe(true);
      await waitUntil("all that was accepted arrives", () =>
        [...accepted].every((subject) => arrived.includes(subject)),
      );
      expect(arrived.filter((subject) => !accepted.has(subject))).toEqual([]);
      await gateway.logged(
        "the last one as delivered",
        ({ record, states }) => record.subject === "after" && states[0]?.state === "delivered",
      );
      // What was refused for want of space is told in the log as well, now that it can be written.
      await gateway.logged("a refused one", ({ record }) => record.reply.startsWith("452 4.3.1"));
      expect(await alarmNames(gateway)).toEqual([]);
      expect(await overview()).not.toContain("There is no space for mail");
      expect(await gateway.stop()).toBe(0);
    } finally {
      await gateway.stop();
      await runCommand(["umount", gateway.data]);
      await gateway.dispose();
      await sink.close();
    }
  },
  120_000,
);

test.skipIf(!mayMount)(
  "filled by somebody else to the last octet: it starts after a kill, drops, delivers, and comes back by itself",
  async () => {
    const ports = await freePorts("mx", "server");
    const gateway = await runGateway({
      policy: smallPolicy(ports.mx, ports.server),
      launcher: ["sh", "-c", MOUNT, "sh"],
    });
    const ids = async (): Promise<readonly string[]> =>
      (await gateway.command("queue", "list", "--json")).out
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { messageId: string }).messageId);
    try {
      for (const subject of ["one", "two", "three"])
        expect(await sendOne(ports.mx, { subject, body: LARGE })).toStartWith("250");
      await waitUntil("the reserve is kept", () => existsSync(join(gateway.data, "reserve", "31")));
      const free = fill(gateway, 0);
      expect(await sendOne(ports.mx, { subject: "too much" })).toStartWith("452 4.3.1");
      await gateway.kill9();
      await gateway.restart();
      const [first = ""] = await ids();
      expect((await gateway.command("queue", "drop", first)).code).toBe(0);
      expect((await ids()).length).toBe(2);
      const sink = await startMailSink({ port: ports.server });
      expect((await gateway.command("queue", "retry")).code).toBe(0);
      await waitUntil("what waited is delivered", () => sink.messages.length === 2);
      free();
      await waitUntil("all is well again", async () => (await alarmNames(gateway)).length === 0);
      expect(await sendOne(ports.mx, { subject: "after" })).toStartWith("250");
      await sink.close();
    } finally {
      await gateway.stop();
      await runCommand(["umount", gateway.data]);
      await gateway.dispose();
    }
  },
  120_000,
);
