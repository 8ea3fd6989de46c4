// Alarms about what is set end when it is set no more, in a gateway that runs: raised for real, then the settings change, each in several
// ways. What one domain or one server behind brings about leaves /healthz at 200.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { type ScriptedPeer, startScriptedPeer, usualServer } from "../delivery/scripted-peer.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { alarmNames, withEnvironment } from "./gateway-kit.ts";

// A process of its own under a busy machine.
setDefaultTimeout(120_000);

let gateway: RunningGateway;
let takesAll: ScriptedPeer;
let taken: Server;
let ports: Readonly<
  Record<"mx" | "sub" | "metrics" | "free" | "deadClamd" | "deadImap" | "otherImap", number>
>;

const passwordServer = (port: number, verify = true) =>
  `[domain.outgoing]
password_server = { protocol = "imap", host = "127.0.0.1", port = ${port}, verify_certificate = ${verify} }
`;
const bob = (more: string) => `[[sender]]
kind = "user"
login = "bob@two.test"
domain = "two.test"
${more}
`;
const withMailServer = bob('verify = "mail-server"');
const domainOne = (verify: string, port: number, more = "") => `[[domain]]
name = "one.test"
routes = [{ host = "127.0.0.1", port = ${port}, tls = "none" }]
recipients = { verify = "${verify}" }
${more}
`;
const domainTwo = (more: string, enabled = true) => `[[domain]]
name = "two.test"
enabled = ${enabled}
routes = [{ host = "127.0.0.1", port = 9, tls = "none" }]
recipients = { verify = "catch-all" }
${more}
`;

/** The listeners that stay, and what a case has beside them. */
const policy = (more: string) => `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
greeting_delay = 0
[[listener]]
name = "sub"
listen = "127.0.0.1:${ports.sub}"
auth = "required"
auth_without_tls = true
relay = ["authenticated"]
greeting_delay = 0
${more}`;

async function apply(text: string): Promise<void> {
  const answer = await gateway.ask("apply", { text, prune: true });
  if (!answer.ok) throw new Error(JSON.stringify(answer.problems));
}

async function say(port: number, ...lines: readonly string[]): Promise<string> {
  const smtp = await openDialogue(port);
  try {
    let reply = "";
    for (const line of ["EHLO client.example.org", ...lines]) reply = await smtp.say(`${line}\r\n`);
    return reply;
  } finally {
    smtp.close();
  }
}

let asked = 0;
const askRecipient = async () => {
  const to = `RCPT TO:<u${++asked}@one.test>`;
  expect(await say(ports.mx, "MAIL FROM:<someone@example.org>", to)).toStartWith("250 ");
};
const logIn = async () => {
  const secret = Buffer.from(`\0bob@two.test\0se cret ${++asked}`).toString("base64");
  expect(await say(ports.sub, `AUTH PLAIN ${secret}`)).toStartWith("454 ");
};
const ends = (name: string) => gateway.output().split(`"alarm":"${name}","msg":"alarm lifted"`).length - 1;

/** The word /healthz has, and what it says is wrong. */
async function health(): Promise<{ readonly status: number; readonly text: string }> {
  const reply = await fetch(`http://127.0.0.1:${ports.metrics}/healthz`);
  return { status: reply.status, text: await reply.text() };
}

beforeAll(async () => {
  ports = await freePorts("mx", "sub", "metrics", "free", "deadClamd", "deadImap", "otherImap");
  takesAll = await startScriptedPeer(usualServer());
  taken = createServer().listen(0, "127.0.0.1");
  gateway = await runGateway({
    policy: policy(""),
    launcher: withEnvironment({ GATEPOST_METRICS_LISTEN: `127.0.0.1:${ports.metrics}` }),
  });
});
afterAll(async () => {
  await gateway?.dispose();
  await takesAll?.close();
  taken?.close();
});

interface Case {
  readonly kind: string;
  readonly name: () => string;
  /** The settings that have the trouble. */
  readonly set: () => string;
  readonly provoke?: () => Promise<void>;
  /** The settings that have it no more. */
  readonly changes: Readonly<Record<string, () => string>>;
  readonly health: 200 | 503;
}

const imapName = () => `password-server imap 127.0.0.1:${ports.deadImap} implicit`;
const takenPort = () => {
  const at = taken.address();
  return at === null || typeof at === "string" ? 0 : at.port;
};
const hook = (port: number, enabled = true) => `[[hook]]
name = "av"
kind = "clamd"
address = "127.0.0.1:${port}"
enabled = ${enabled}
`;
const third = (port: number, enabled = true) => `[[listener]]
name = "third"
listen = "127.0.0.1:${port}"
enabled = ${enabled}
`;

const CASES: readonly Case[] = [
  {
    kind: "call-out",
    name: () => "call-out one.test",
    set: () => domainOne("callout", takesAll.port),
    provoke: askRecipient,
    changes: {
      "catch-all": () => domainOne("catch-all", takesAll.port),
      "a list": () => domainOne("list", takesAll.port),
      "another server": () => domainOne("callout", 9),
      "switched off": () => domainOne("callout", takesAll.port, "enabled = false"),
      "the domain is gone": () => "",
    },
    health: 200,
  },
  {
    kind: "password-server",
    name: imapName,
    set: () => domainTwo(passwordServer(ports.deadImap)) + withMailServer,
    provoke: logIn,
    changes: {
      "another server": () => domainTwo(passwordServer(ports.otherImap)) + withMailServer,
      "any certificate": () => domainTwo(passwordServer(ports.deadImap, false)) + withMailServer,
      "a password of ours": () =>
        domainTwo(passwordServer(ports.deadImap)) + bob('password = "correct horse battery"'),
      "no server": () => domainTwo("") + withMailServer,
      "the sender is off": () =>
        domainTwo(passwordServer(ports.deadImap)) + bob('verify = "mail-server"\nenabled = false'),
      "the sender is gone": () => domainTwo(passwordServer(ports.deadImap)),
      "switched off": () => domainTwo(passwordServer(ports.deadImap), false) + withMailServer,
      "the domain is gone": () => "",
    },
    health: 200,
  },
  {
    kind: "listener",
    name: () => "listener third",
    set: () => third(takenPort()),
    changes: {
      "another port": () => third(ports.free),
      "switched off": () => third(takenPort(), false),
      "it is gone": () => "",
    },
    health: 503,
  },
  {
    kind: "clamd",
    name: () => 'clamd \\"av\\"',
    set: () => hook(ports.deadClamd),
    changes: {
      "switched off": () => hook(ports.deadClamd, false),
      "it is gone": () => "",
    },
    health: 503,
  },
];

for (const { kind, name, set, provoke, changes, health: expected } of CASES) {
  test.each(Object.entries(changes))(`${kind}: %s`, async (_what, change) => {
    const alarm = JSON.parse(`"${name()}"`) as string;
    await apply(policy(set()));
    await provoke?.();
    await waitUntil(`${alarm} is raised`, async () => (await alarmNames(gateway)).includes(alarm));
    const sick = await health();
    expect(sick.status).toBe(expected);
    const before = ends(name());
    await apply(policy(change()));
    await waitUntil(`${alarm} is lifted`, async () => (await alarmNames(gateway)).length === 0);
    await waitUntil(`the end of ${alarm} is told`, () => ends(name()) === before + 1);
    expect(await health()).toMatchObject({ status: 200 });
  });
}

test("call-outs that are set again are told of again", async () => {
  for (let round = 0; round < 2; round++) {
    await apply(policy(domainOne("callout", takesAll.port)));
    await askRecipient();
    expect(await alarmNames(gateway)).toEqual(["call-out one.test"]);
    await apply(policy(""));
    expect(await alarmNames(gateway)).toEqual([]);
  }
});
