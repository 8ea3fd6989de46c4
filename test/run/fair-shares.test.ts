// A server that takes for ever over one client's mail, over real sockets: mail of another client for the same server arrives all the same.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { type ScriptedPeer, startScriptedPeer, usualServer } from "../delivery/scripted-peer.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";

setDefaultTimeout(60_000);

let gateway: RunningGateway;
let peer: ScriptedPeer;
let mx = 0;
let held = 0;
let isOn = true;
const ends: (() => void)[] = [];

/** Answers a message with "slow" in it when the test is over, others at once. */
beforeAll(async () => {
  ({ mx } = await freePorts("mx"));
  peer = await startScriptedPeer(async (talk) => {
    const message = talk.message.bind(talk);
    const mine = {
      ...talk,
      say: (...lines: string[]) => talk.say(...lines),
      line: () => talk.line(),
      async message() {
        const text = await message();
        if (isOn && text?.includes("Subject: slow") === true) {
          held++;
          await new Promise<void>((resolve) => ends.push(resolve));
        }
        return text;
      },
    };
    await usualServer({})(mine);
  });
  const sender = (range: string) => `[[sender]]\nkind = "ip"\nrange = "${range}"\ndomain = "ours.test"\n`;
  const domain = (name: string) => `[[domain]]
name = "${name}"
routes = [{ host = "127.0.0.1", port = ${peer.port}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = []
cut_through = false
`;
  gateway = await runGateway({
    policy: `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
greeting_delay = 0
relay = ["trusted-networks"]
proxy_from = ["127.0.0.1/32"]
[networks]
trusted = ["10.0.0.0/8"]
${domain("example.test")}
${domain("ours.test")}
${sender("203.0.113.0/24")}
${sender("192.0.2.0/24")}
[delivery]
retry = ["1s"]
smarthost = { host = "127.0.0.1", port = ${peer.port}, tls = "none" }
`,
  });
});
afterAll(async () => {
  await gateway?.dispose();
  await peer?.close();
});

interface Sent {
  readonly ip: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
}

/** Hands a message in as a client with that address. */
async function send({ ip, from, to, subject }: Sent): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: mx });
  const heard = async () => String((await once(socket, "data"))[0]);
  const family = ip.includes(":") ? "TCP6" : "TCP4";
  socket.write(`PROXY ${family} ${ip} ${ip} 4711 25\r\n`);
  try {
    let reply = await heard();
    for (const line of [
      "EHLO client.example.org",
      `MAIL FROM:<${from}>`,
      `RCPT TO:<${to}>`,
      "DATA",
      `From: <${from}>\r\nTo: <${to}>\r\nSubject: ${subject}\r\n\r\nA line.\r\n.`,
    ]) {
      socket.write(`${line}\r\n`);
      reply = await heard();
    }
    return reply;
  } finally {
    socket.destroy();
  }
}

const OUTSIDE = { from: "bob@sender.test", to: "info@example.test" };
const CASES = [
  ["v4", { ...OUTSIDE, ip: "198.51.100.9" }, { ...OUTSIDE, ip: "198.51.101.9" }],
  ["v6", { ...OUTSIDE, ip: "2001:db8:1:1::9" }, { ...OUTSIDE, ip: "2001:db8:1:2::9" }],
  [
    "of one network",
    { ...OUTSIDE, ip: "198.51.102.9" },
    { ...OUTSIDE, from: "eve@other.test", ip: "198.51.102.9" },
  ],
  ["by a second MX", { ...OUTSIDE, ip: "10.1.1.1" }, { ...OUTSIDE, from: "eve@other.test", ip: "10.1.1.1" }],
  [
    "own",
    { from: "news@ours.test", to: "info@elsewhere.test", ip: "203.0.113.9" },
    { from: "ann@ours.test", to: "info@elsewhere.test", ip: "192.0.2.9" },
  ],
  [
    "of one address range",
    { from: "shop@ours.test", to: "info@elsewhere.test", ip: "203.0.113.9" },
    { from: "ann@ours.test", to: "info@elsewhere.test", ip: "203.0.113.9" },
  ],
  [
    "by the server in the house",
    { from: "hacked@example.test", to: "info@elsewhere.test", ip: "10.1.1.1" },
    { from: "ann@example.test", to: "info@elsewhere.test", ip: "10.1.1.1" },
  ],
] as const;

for (const [name, slow, quick] of CASES)
  test(`${name}: 60 slow messages of one, then mail of another`, async () => {
    const before = held;
    for (let n = 0; n < 60; n++)
      expect(await send({ ...slow, subject: `slow ${name} ${n}` })).toStartWith("250");
    await waitUntil("the server holds some", async () => held > before);
    for (let n = 0; n < 4; n++)
      expect(await send({ ...quick, subject: `quick ${name} ${n}.` })).toStartWith("250");
    const arrived = () => peer.messages.filter((text) => text.includes(`Subject: quick ${name} `)).length;
    await waitUntil("the mail of the other", async () => arrived() === 4);
    expect(ends.length).toBeGreaterThan(0);
    isOn = false;
    for (const end of ends.splice(0)) end();
    const slowLeft = () => peer.messages.filter((text) => text.includes(`Subject: slow ${name} `)).length;
    await waitUntil("the slow mail", async () => slowLeft() === 60);
    isOn = true;
  });
