// Signals: SIGTERM under load loses and repeats nothing, SIGHUP takes the new certificate for new connections.
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { loadOrMakeCertificate } from "../../src/listener/certificate.ts";
import { startLoad } from "../crash/load-client.ts";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { answersOnSocket, runGateway } from "../peers/run-gateway.ts";
import { alarmNames, isRunning, sendOne, smallPolicy } from "./gateway-kit.ts";

const FILLER = `${"x".repeat(70)}\r\n`;

test("SIGTERM under load: exit code 0, every 250 arrives once, at once or after the next start", async () => {
  const arrived = new Map<string, number>();
  const sink = await startMailSink({
    onMessage({ text }) {
      const id = /^Subject: (.+?)\r$/m.exec(text)?.[1] ?? "?";
      arrived.set(id, (arrived.get(id) ?? 0) + 1);
    },
  });
  const ports = await freePorts("mx");
  // One connection out, many in: at the signal there are messages being taken, being delivered, and waiting.
  const policy = smallPolicy(ports.mx, sink.port).replace(
    "[delivery]",
    "[delivery]\nmax_connections_per_destination = 1",
  );
  const gateway = await runGateway({ policy });
  let number = 0;
  const load = startLoad({
    port: ports.mx,
    connections: 8,
    next() {
      number += 1;
      const text = `From: <a@example.org>\r\nSubject: load-${number}\r\n\r\n${FILLER.repeat(number % 10 === 0 ? 2000 : 20)}end`;
      return { id: `load-${number}`, sender: "a@example.org", recipients: ["bob@example.test"], text };
    },
  });
  try {
    await waitUntil("mail flows", () => load.accepted.size > 300 && arrived.size > 20);
    expect(await gateway.stop()).toBe(0);
    await load.stop();
    expect(gateway.output()).toContain('"msg":"stopped"');
    const before = arrived.size;
    expect(before).toBeLessThanOrEqual(load.accepted.size);
    // The policy of the first start is needed at the first start alone.
    rmSync(join(gateway.directory, "policy.toml"));
    await gateway.restart();
    await waitUntil("all has arrived", () => [...load.accepted.keys()].every((id) => arrived.has(id)));
    await waitUntil("the queue is empty", async () => (await gateway.queued()) === 0);
    expect([...arrived].filter(([, times]) => times > 1)).toEqual([]);
    // What was answered otherwise was not kept either: nothing arrives that its sender would send again.
    expect([...arrived.keys()].filter((id) => !load.accepted.has(id))).toEqual([]);
    for (const reply of load.refused.keys()) expect(reply).toMatch(/^4/);
  } finally {
    await load.stop();
    await gateway.dispose();
    await sink.close();
  }
}, 120_000);

test("SIGTERM waits for the message under way, and a second one does not", async () => {
  const ports = await freePorts("mx", "server");
  const gateway = await runGateway({ policy: smallPolicy(ports.mx, ports.server) });
  try {
    const smtp = await openDialogue(ports.mx);
    for (const line of [
      "EHLO c.example.org",
      "MAIL FROM:<a@example.org>",
      "RCPT TO:<b@example.test>",
      "DATA",
    ])
      expect(await smtp.say(`${line}\r\n`)).toMatch(/^[23]/);
    const pid = gateway.pid();
    process.kill(pid, "SIGTERM");
    await waitUntil("it drains", () => gateway.output().includes("stopping"));
    // A new client is not let in, the one under way is answered.
    expect(await sendOne(ports.mx, { subject: "too late" }).catch(() => "refused")).toMatch(/^(refused|421)/);
    expect(await smtp.say("Subject: in time\r\n\r\nHello.\r\n.\r\n")).toStartWith("250");
    await waitUntil("it has ended", () => !isRunning(pid));
    expect(await gateway.stop()).toBe(0);
    await gateway.restart();
    await gateway.logged("the message", ({ record }) => record.subject === "in time");

    const patient = await openDialogue(ports.mx);
    for (const line of [
      "EHLO c.example.org",
      "MAIL FROM:<a@example.org>",
      "RCPT TO:<b@example.test>",
      "DATA",
    ])
      await patient.say(`${line}\r\n`);
    process.kill(gateway.pid(), "SIGTERM");
    await waitUntil("it drains", () => gateway.output().split("stopping").length > 2);
    expect(isRunning(gateway.pid())).toBe(true);
    expect(await gateway.stop()).toBe(0);
    // Not waited for: the end of the drain is not in the log a second time.
    expect(gateway.output().split('"msg":"stopped"').length).toBe(2);
    patient.close();
  } finally {
    await gateway.dispose();
  }
}, 120_000);

/** SIGHUP is caught or ignored. (proc_pid_status(5): SigCgt, SigIgn) */
function mindsHangUp(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return [...status.matchAll(/^Sig(?:Cgt|Ign):\t[0-9a-f]{15}([0-9a-f])$/gm)].some(
    ([, last = "0"]) => (Number.parseInt(last, 16) & 1) === 1,
  );
}

test("during the start SIGHUP changes nothing, and SIGTERM ends it with exit code 0 once it is whole", async () => {
  const ports = await freePorts("mx", "server");
  const gateway = await runGateway({ policy: smallPolicy(ports.mx, ports.server) });
  const lock = join(gateway.data, "gatepost.pid");
  try {
    for (const signal of ["SIGHUP", "SIGTERM"] as const) {
      await gateway.stop();
      rmSync(lock, { force: true });
      gateway.launch();
      const pid = gateway.pid();
      // From the first handler on, also while the program starts itself once more.
      while (!(signal === "SIGHUP" ? mindsHangUp(pid) : existsSync(lock))) await Bun.sleep(2);
      for (let n = 0; n < (signal === "SIGHUP" ? 400 : 1); n++) {
        process.kill(pid, signal);
        await Bun.sleep(2);
      }
      if (signal === "SIGTERM") {
        await waitUntil("it has ended", () => !isRunning(pid));
        expect(await gateway.stop()).toBe(0);
      } else await waitUntil("it answers", () => answersOnSocket(gateway.data));
    }
    await gateway.restart();
    expect(await sendOne(ports.mx, { subject: "after all that" })).toStartWith("250");
  } finally {
    await gateway.dispose();
  }
}, 120_000);

function secured(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      resolve(String(subject.CN));
    });
  });
}

/** The name in the console's certificate. */
function consoleName(port: number): Promise<string> {
  return secured(connect({ host: "127.0.0.1", port, rejectUnauthorized: false }));
}

/** The name in the certificate behind STARTTLS. */
async function mailName(port: number): Promise<string> {
  const plain: Socket = connectPlain({ host: "127.0.0.1", port });
  plain.setEncoding("latin1");
  for (const command of ["", "EHLO c.example.org\r\n", "STARTTLS\r\n"]) {
    if (command !== "") plain.write(command);
    let reply = "";
    while (!/^\d{3} .*\r\n/m.test(reply))
      reply += await new Promise<string>((resolve, reject) =>
        plain.once("data", resolve).once("error", reject),
      );
  }
  plain.removeAllListeners("data");
  return secured(connect({ socket: plain, rejectUnauthorized: false }));
}

test("SIGHUP: listeners and console show the new certificate to new connections; a bad pair changes nothing", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "gatepost-keys-"));
  const ports = await freePorts("mx", "server");
  const gateway = await runGateway({ policy: smallPolicy(ports.mx, ports.server) });
  const keys = join(gateway.data, "keys");
  const names = async () => [await consoleName(gateway.consolePort), await mailName(ports.mx)];
  try {
    expect(await names()).toEqual(["gate.example.test", "gate.example.test"]);
    const kept = await openDialogue(ports.mx);
    await loadOrMakeCertificate(scratch, "renewed.example.test");
    copyFileSync(join(scratch, "certificate.pem"), join(keys, "certificate.pem"));
    // The certificate alone, without its key: a renewal caught half way.
    process.kill(gateway.pid(), "SIGHUP");
    await waitUntil("the alarm", async () => (await alarmNames(gateway)).includes("certificate"));
    expect(await names()).toEqual(["gate.example.test", "gate.example.test"]);

    copyFileSync(join(scratch, "key.pem"), join(keys, "key.pem"));
    process.kill(gateway.pid(), "SIGHUP");
    await waitUntil("the alarm is lifted", async () => (await alarmNames(gateway)).length === 0);
    expect(await names()).toEqual(["renewed.example.test", "renewed.example.test"]);
    expect(await kept.say("NOOP\r\n")).toStartWith("250");
    kept.close();

    writeFileSync(join(keys, "certificate.pem"), "-----BEGIN CERTIFICATE-----\nnonsense\n");
    process.kill(gateway.pid(), "SIGHUP");
    await waitUntil("the alarm", async () => (await alarmNames(gateway)).includes("certificate"));
    expect(await names()).toEqual(["renewed.example.test", "renewed.example.test"]);
    expect(await gateway.stop()).toBe(0);
  } finally {
    await gateway.dispose();
    rmSync(scratch, { recursive: true, force: true });
  }
}, 60_000);
