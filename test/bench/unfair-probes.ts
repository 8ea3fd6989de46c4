// Small mail of somebody else, while one user takes more than its share: where it arrives, and how long each message took on its way.
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { freePorts } from "../peers/run-command.ts";

const PROBE_EVERY_MS = 50;
const PROBE_MS = 30_000;

/** Where probes arrive: by their number, when. */
export async function startArrivals() {
  const { sink } = await freePorts("sink");
  const arrived = new Map<string, number>();
  const server = Bun.listen<{ text: string; data: boolean; seen: boolean }>({
    hostname: "127.0.0.1",
    port: sink,
    socket: {
      open(socket) {
        socket.data = { text: "", data: false, seen: false };
        socket.write("220 sink.example.test\r\n");
      },
      data(socket, chunk) {
        const state = socket.data;
        if (state.data) {
          // Large messages are read and forgotten; of a small one the number stands in its first octets.
          if (!state.seen) {
            const number = /X-Probe: (\d+)/.exec(chunk.toString("latin1", 0, 4096))?.[1];
            if (number !== undefined && !arrived.has(number)) arrived.set(number, performance.now());
            state.seen = true;
          }
          state.text = (state.text + chunk.toString("latin1", Math.max(0, chunk.length - 5))).slice(-5);
          if (state.text !== "\r\n.\r\n") return;
          state.data = false;
          state.seen = false;
          state.text = "";
          socket.write("250 Ok\r\n");
          return;
        }
        for (const line of chunk.toString("latin1").split("\r\n").slice(0, -1)) {
          if (/^DATA/i.test(line)) {
            state.data = true;
            socket.write("354 Go ahead\r\n");
          } else if (/^QUIT/i.test(line)) socket.end("221 Bye\r\n");
          else socket.write("250 Ok\r\n");
        }
      },
    },
  });
  return { port: sink, arrived, close: () => server.stop(true) };
}

/** Where a message stood when, in milliseconds from its first octet; Infinity for what never came. */
interface ProbeTimes {
  greeted: number;
  /** The answer to DATA: its recipient was taken. */
  goAhead: number;
  /** The answer to the message. */
  answered: number;
  arrived: number;
}

/** One small message on its own connection. `note` hears of each step. */
export async function probe(
  port: number,
  number: string,
  note: (step: "greeted" | "goAhead" | "answered") => void = () => {},
): Promise<string> {
  const smtp = await openDialogue(port);
  note("greeted");
  try {
    for (const line of [
      "EHLO probe.example.net",
      "MAIL FROM:<carol@example.net>",
      "RCPT TO:<dave@other.test>",
      "DATA",
    ]) {
      const reply = await smtp.say(`${line}\r\n`);
      if (!/^[23]/.test(reply)) return reply;
    }
    note("goAhead");
    const reply = await smtp.say(`From: <carol@example.net>\r\nX-Probe: ${number}\r\n\r\nHello.\r\n.\r\n`);
    note("answered");
    return reply;
  } finally {
    smtp.close();
  }
}

export interface Timed {
  readonly times: readonly Readonly<ProbeTimes>[];
  readonly refusals: readonly string[];
}

/** Times the probes that were sent while `going` said so; one that was refused or never came counts as one that never arrived. */
export async function timeOthers(
  port: number,
  arrived: ReadonlyMap<string, number>,
  going: () => boolean,
): Promise<Timed> {
  const running: Promise<ProbeTimes>[] = [];
  const refusals: string[] = [];
  for (let n = 1; going(); n++) {
    running.push(timeOne(port, String(n), { arrived, refusals }));
    await Bun.sleep(PROBE_EVERY_MS);
  }
  return { times: await Promise.all(running), refusals };
}

async function timeOne(
  port: number,
  number: string,
  seen: { readonly arrived: ReadonlyMap<string, number>; readonly refusals: string[] },
): Promise<ProbeTimes> {
  const never = Number.POSITIVE_INFINITY;
  const times: ProbeTimes = { greeted: never, goAhead: never, answered: never, arrived: never };
  const from = performance.now();
  const reply = await Promise.race([
    probe(port, number, (step) => {
      times[step] = performance.now() - from;
    }).catch(String),
    Bun.sleep(PROBE_MS).then(() => "no answer"),
  ]);
  if (!reply.startsWith("250")) {
    seen.refusals.push(reply);
    return times;
  }
  while (!seen.arrived.has(number) && performance.now() - from < PROBE_MS) await Bun.sleep(5);
  times.arrived = (seen.arrived.get(number) ?? never) - from;
  return times;
}

/** What share of the messages took less: 0.5 for the median, 1 for the worst. */
export function timeAt(times: Timed["times"], share: number): number {
  const sorted = times.map(({ arrived }) => arrived).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.POSITIVE_INFINITY;
}

/** Where the slowest hundredth was when, in words: what holds mail up shows there. */
export function slowestWords(times: Timed["times"]): string {
  const slow = times.toSorted((a, b) => b.arrived - a.arrived).slice(0, Math.ceil(times.length / 100));
  const mean = (step: keyof ProbeTimes) => slow.reduce((sum, one) => sum + one[step], 0) / slow.length;
  const at = (step: keyof ProbeTimes) =>
    Number.isFinite(mean(step)) ? `${mean(step).toFixed(0)} ms` : "never";
  return `slowest 1 %: greeted ${at("greeted")}, DATA ${at("goAhead")}, arrived ${at("arrived")}, answered ${at("answered")}`;
}
