// A real clamd as hook: what it finds is refused, and while it is down nothing passes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { peerPolicy } from "./peer-policy.ts";
import { EICAR, ONLY_CLAMD_KNOWS, type RunningClamd, runClamd, SIGNATURES } from "./run-clamd.ts";
import { freePorts, havePrograms, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { runSwaks, testMessage } from "./run-swaks.ts";

const FROM = "ann@example.org";
const TO = "alice@example.test";

describe.skipIf(!havePrograms("a real clamd as hook", ["clamd", "swaks"]))("clamd", () => {
  let gateway: RunningGateway;
  let clamd: RunningClamd;
  let server: MailSink;
  let mx = 0;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const ports = await freePorts("mx", "submission", "submissions", "outside");
    mx = ports.mx;
    server = await startMailSink();
    closers.push(() => server.close());
    clamd = await runClamd();
    closers.push(() => clamd.dispose());
    const hook = `
[[hook]]
name = "clamd"
kind = "clamd"
address = "${clamd.address}"
timeout = "20s"
`;
    gateway = await runGateway({ policy: peerPolicy({ ...ports, server: server.port }, hook) });
    closers.push(() => gateway.dispose());
  }, 120_000);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  }, 120_000);

  async function send(subject: string, body?: string) {
    const message = testMessage({ from: FROM, to: TO, subject, ...(body === undefined ? {} : { body }) });
    const sent = await runSwaks({ port: mx, from: FROM, to: TO, message: message.text });
    return { ...sent, subject: message.subject };
  }

  async function factsOf(subject: string): Promise<Readonly<Record<string, unknown>>> {
    const { record } = await gateway.logged(subject, (one) => one.record.subject === subject);
    return Object.fromEntries(record.findings.map(({ fact, value }) => [fact, value]));
  }

  test("clean mail passes, and the log says that clamd looked", async () => {
    const sent = await send("clean");
    expect(sent.accepted).toBe(true);
    await waitUntil("it arrives", () => server.messages.some(({ text }) => text.includes(sent.subject)));
    expect(await factsOf(sent.subject)).toMatchObject({ "clamd.found": false });
  }, 120_000);

  test("what only clamd knows is refused, with the name of the signature in the log", async () => {
    const sent = await send("herons", ONLY_CLAMD_KNOWS);
    expect(sent.accepted).toBe(false);
    expect(sent.replies.some((line) => line.startsWith("550 5.7."))).toBe(true);
    expect(sent.dialogue).not.toContain(SIGNATURES.onlyClamd);
    expect(await factsOf(sent.subject)).toMatchObject({
      "clamd.found": true,
      "clamd.signature": `${SIGNATURES.onlyClamd}.UNOFFICIAL`,
    });
  }, 120_000);

  test("EICAR is found by clamd and by the built-in check alike", async () => {
    const sent = await send("eicar", EICAR);
    expect(sent.accepted).toBe(false);
    expect(await factsOf(sent.subject)).toMatchObject({ "clamd.found": true, "eicar.found": true });
  }, 120_000);

  test("while clamd is down every message is put off, and taken again when it is back", async () => {
    await clamd.stop();
    const off = await send("clamd is down");
    expect(off.accepted).toBe(false);
    expect(off.replies.some((line) => line.startsWith("451 4."))).toBe(true);
    expect(await factsOf(off.subject)).toMatchObject({ "clamd.failed": true, "scan.failed": true });
    expect(server.messages.some(({ text }) => text.includes(off.subject))).toBe(false);

    await clamd.start();
    const back = await waitUntil("clamd's mail is taken again", async () => {
      const sent = await send("clamd is back");
      return sent.accepted ? sent : null;
    });
    await waitUntil("it arrives", () => server.messages.some(({ text }) => text.includes(back.subject)));
  }, 180_000);
});
