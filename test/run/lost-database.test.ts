// A database that is lost while the gateway runs ends the process with code 1, so that it is started anew; it never lingers.
import { expect, test } from "bun:test";
import { closeSync, existsSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { isRunning, sendOne, smallPolicy } from "./gateway-kit.ts";

/** Overwrites a file in place, as a failing disk would. */
function ruin(path: string): void {
  if (!existsSync(path)) return;
  const file = openSync(path, "r+");
  writeSync(file, new Uint8Array(statSync(path).size).fill(0xff), 0);
  closeSync(file);
}

/** Mail that waits: more than the database keeps in memory. */
async function fillQueue(mx: number): Promise<void> {
  const body = `${"x".repeat(70)}\r\n`.repeat(800);
  for (let n = 0; n < 80; n++)
    expect(await sendOne(mx, { subject: `message ${n}`, body })).toStartWith("250");
}

async function endsBroken(gateway: RunningGateway, name: string): Promise<void> {
  const pid = gateway.pid();
  await waitUntil("the process has ended", () => !isRunning(pid));
  expect(await gateway.stop()).toBe(1);
  expect(gateway.output()).toContain(`The database ${name} is lost to this process`);
  expect(existsSync(join(gateway.data, "gatepost.pid"))).toBe(false);
}

test.each([
  ["spool.db", ["queue", "retry"]],
  ["gatepost.db", ["log", "--json", "--limit", "1000"]],
] as const)(
  "%s is lost: the process ends with 1",
  async (name, command) => {
    const ports = await freePorts("mx", "server");
    const policy = smallPolicy(ports.mx, ports.server).replace('retry = ["1s"]', 'retry = ["1h"]');
    const gateway = await runGateway({ policy });
    try {
      await fillQueue(ports.mx);
      ruin(join(gateway.data, name));
      ruin(join(gateway.data, `${name}-wal`));
      await gateway.command(...command);
      await endsBroken(gateway, name);
    } finally {
      await gateway.dispose();
    }
  },
  120_000,
);
