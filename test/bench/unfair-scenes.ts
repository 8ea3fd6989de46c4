// The ways in which one user takes more than its share, each a scene with a beginning, and words for how it went.
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import type { RunningGateway } from "../peers/run-gateway.ts";

const root = join(import.meta.dirname, "../..");
const MEGABYTE = 1024 * 1024;

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

export interface Scene {
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

export const SCENES: readonly Scene[] = [
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
