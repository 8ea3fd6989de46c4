// kill -9 under mail of 50 identities, some of which send spam: a lock that a client or an administrator was told of holds after the
// kill, an unlock that was confirmed too, and a clean stop loses no count. LOCK_ROUNDS (4) and CRASH_SEED set how often and how the
// dice fall.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type MailSink, startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningConsole, runConsole } from "../peers/run-console.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { dice } from "./dice.ts";
import { rowsOf } from "./rows-of.ts";
import { openDialogue, type SmtpDialogue } from "./smtp-dialogue.ts";

const ROUNDS = Number(process.env.LOCK_ROUNDS ?? 4);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const CLIENTS = 6;
const IDENTITIES = 50;
const SENDER = "127.0.0.1/32";
const ADMINISTRATOR = "postmaster@example.test";
const GTUBE = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");
/** The longest the mail flows before a kill. */
const FLOW_MS = 700;

function policy(mx: number, sinkPort: number): string {
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
tls = "none"
greeting_delay = 0
relay = ["trusted-networks"]

[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${sinkPort}, tls = "none" }]
recipients = { verify = "catch-all" }
[domain.outgoing]
alerts = { mail = ["${ADMINISTRATOR}"] }

[[sender]]
kind = "ip"
range = "${SENDER}"
domain = "example.test"
identify_by = { header = "X-Client-ID", remove = true }
lock = { identity = true, spam = 3, window = "10m", timeout = "1h", max_unlocks = 0 }
limits = { per_day = 1000000, recipients_per_day = 1000000 }
identity_limits = { recipients_per_day = 100000 }
`;
}

/** Everybody behind the smart host, as the clients know them. */
interface Crowd {
  /** Identities that were told to be locked: by a reply or by an alert. */
  readonly told: Set<string>;
  /** Who was unlocked by a person sends no spam again. */
  readonly forgiven: Set<string>;
  /** Unlocks of which no answer has come. */
  readonly asked: Set<string>;
  /** Fair messages answered 250, by identity. */
  readonly accepted: Map<string, number>;
  /** Calls when somebody is told of a lock. */
  onTold: () => void;
}

async function sendAs(smtp: SmtpDialogue, identity: string, text: string): Promise<string> {
  for (const line of ["MAIL FROM:<shop@example.test>", "RCPT TO:<bob@example.test>", "DATA"]) {
    const reply = await smtp.say(`${line}\r\n`);
    if (!/^[23]/.test(reply)) {
      await smtp.say("RSET\r\n");
      return reply;
    }
  }
  return smtp.say(
    `From: shop@example.test\r\nTo: bob@example.test\r\nX-Client-ID: ${identity}\r\nSubject: ${identity}\r\n\r\n${text}\r\n.\r\n`,
  );
}

async function greeted(port: number): Promise<SmtpDialogue> {
  const smtp = await openDialogue(port);
  await smtp.say("EHLO smarthost.example.test\r\n");
  return smtp;
}

/** Clients that send for anybody of the crowd until they are stopped; a broken connection is opened again. */
function startCrowd(port: number, crowd: Crowd, random: () => number) {
  let stopping = false;
  async function sendUntilBroken(): Promise<void> {
    const smtp = await greeted(port);
    try {
      while (!stopping) {
        const number = Math.floor(random() * IDENTITIES);
        const identity = `shop-${number}`;
        // Every second one is hacked.
        const spam = number % 2 === 0 && !crowd.forgiven.has(identity) && random() < 0.7;
        const reply = await sendAs(smtp, identity, spam ? GTUBE : "Please find your invoice below.");
        if (reply.includes("locked") && !crowd.asked.has(identity) && !crowd.forgiven.has(identity)) {
          crowd.told.add(identity);
          crowd.onTold();
        }
        if (reply.startsWith("250")) crowd.accepted.set(identity, (crowd.accepted.get(identity) ?? 0) + 1);
      }
    } finally {
      smtp.close();
    }
  }
  const workers = Array.from({ length: CLIENTS }, async () => {
    while (!stopping) await sendUntilBroken().catch(() => Bun.sleep(20));
  });
  return {
    async stop() {
      stopping = true;
      await Promise.all(workers);
    },
  };
}

/** Unlocks one who is locked, while mail flows. */
async function unlockSomebody(web: RunningConsole, crowd: Crowd): Promise<void> {
  const [identity] = crowd.told;
  if (identity === undefined) return;
  crowd.asked.add(identity);
  crowd.told.delete(identity);
  // Killed meanwhile: whether it is locked then, nobody was told.
  const answer = await web.api("POST", "/unlock", { sender: SENDER, identity }).catch(() => null);
  if (answer !== null) crowd.forgiven.add(identity);
}

/** After a start: whoever was told is locked, whoever was forgiven is not. */
async function expectKept(port: number, crowd: Crowd, what: string): Promise<void> {
  const smtp = await greeted(port);
  for (const identity of crowd.told) {
    const reply = await sendAs(smtp, identity, "Please find your invoice below.");
    expect([what, identity, reply]).toEqual([what, identity, expect.stringContaining("locked")]);
  }
  for (const identity of crowd.forgiven) {
    const reply = await sendAs(smtp, identity, "Please find your invoice below.");
    expect([what, identity, reply]).toEqual([what, identity, expect.stringMatching(/^250 /)]);
    crowd.accepted.set(identity, (crowd.accepted.get(identity) ?? 0) + 1);
  }
  smtp.close();
}

/** Identities that alerts of locks named. */
function alerted(sink: MailSink): readonly string[] {
  return sink.messages
    .filter(({ recipients }) => recipients.includes(ADMINISTRATOR))
    .flatMap(({ text }) => /^Subject:.*?(shop-\d+)/m.exec(text)?.[1] ?? []);
}

/** The messages of the day, by identity, as the API tells. */
async function counts(web: RunningConsole): Promise<ReadonlyMap<string, number>> {
  const page = await web.api<{
    readonly items: readonly { readonly name: string; readonly messagesDay: number }[];
  }>("GET", "/identities?limit=500");
  return new Map(page.items.map(({ name, messagesDay }) => [name, messagesDay]));
}

async function killWhileTold(gateway: RunningGateway, crowd: Crowd, sharp: boolean, random: () => number) {
  // The sharpest moment: somebody has just read that he is locked.
  if (sharp) {
    const { promise, resolve } = Promise.withResolvers<void>();
    crowd.onTold = resolve;
    // A busy machine needs a while for the first lock.
    await Promise.race([promise, Bun.sleep(15_000)]);
    crowd.onTold = () => {};
  } else await Bun.sleep(random() * FLOW_MS);
  await gateway.kill9();
}

test(
  `${ROUNDS} rounds of kill -9 forget no lock and no unlock; a clean stop forgets no count`,
  async () => {
    const random = dice(SEED);
    const sink = await startMailSink();
    const { mx } = await freePorts("mx");
    const gateway = await runGateway({ policy: policy(mx, sink.port) });
    try {
      const web = await runConsole(gateway);
      const crowd: Crowd = {
        told: new Set(),
        forgiven: new Set(),
        asked: new Set(),
        accepted: new Map(),
        onTold: () => {},
      };
      for (let round = 1; round <= ROUNDS; round++) {
        const load = startCrowd(mx, crowd, random);
        await Bun.sleep(random() * FLOW_MS);
        const unlocking = unlockSomebody(web, crowd);
        await killWhileTold(gateway, crowd, round % 2 === 1 || round === ROUNDS, random);
        await Promise.all([load.stop(), unlocking]);
        for (const identity of alerted(sink)) if (!crowd.asked.has(identity)) crowd.told.add(identity);
        await gateway.restart();
        await expectKept(mx, crowd, `seed ${SEED}, kill ${round}`);
      }
      expect(crowd.told.size).toBeGreaterThan(0);

      const before = await counts(web);
      crowd.accepted.clear();
      const load = startCrowd(mx, crowd, random);
      await Bun.sleep(FLOW_MS);
      await waitUntil("mail of many is taken", () => crowd.accepted.size > 10);
      await load.stop();
      expect(await gateway.stop()).toBe(0);
      await gateway.restart();
      const after = await counts(web);
      const wanted = [...crowd.accepted].map(([name, count]) => [name, (before.get(name) ?? 0) + count]);
      expect(wanted.length).toBeGreaterThan(10);
      expect(wanted.map(([name]) => [name, after.get(String(name))])).toEqual(wanted);
      await expectKept(mx, crowd, `seed ${SEED}, clean stop`);
      await waitUntil("it stops", async () => (await gateway.stop()) === 0);
      for (const name of ["spool.db", "gatepost.db"])
        expect(await rowsOf(join(gateway.data, name), "PRAGMA integrity_check")).toEqual([["ok"]]);
      console.log(`seed ${SEED}: ${crowd.told.size} locks and ${crowd.forgiven.size} unlocks held`);
    } finally {
      await gateway.dispose();
      await sink.close();
    }
  },
  ROUNDS * 20_000 + 60_000,
);
