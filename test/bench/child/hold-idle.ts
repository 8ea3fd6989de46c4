// A process of its own that opens many connections, waits for their greetings and then says nothing until it is told to end.
// Tells its parent an IdleOpened once every connection is settled or the time is up, and an IdleEnded at the end.
import type { Socket } from "bun";

/** How the opening went. */
export interface IdleOpened {
  readonly greeted: number;
  /** Refused, closed without a greeting, or greeted with another code than 220. */
  readonly turnedAway: number;
  /** Milliseconds from the first connection to the last greeting. */
  readonly lastGreetingMs: number;
}

export interface IdleEnded {
  /** Connections greeted and not closed by the server meanwhile. */
  readonly stillOpen: number;
}

/** Opened between two looks at what has come. */
const BATCH = 100;

const [port = 25, connections = 1, patienceMs = 10_000] = process.argv.slice(2).map(Number);
const open = new Set<Socket<undefined>>();
let greeted = 0;
let turnedAway = 0;
let lastGreetingMs = 0;
const startedAt = performance.now();

async function connect(): Promise<void> {
  let settled = false;
  const turnAway = () => {
    if (!settled) turnedAway += 1;
    settled = true;
  };
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(socket, chunk) {
        if (settled) return;
        if (!chunk.toString("latin1").startsWith("220")) return turnAway();
        settled = true;
        greeted += 1;
        lastGreetingMs = performance.now() - startedAt;
        open.add(socket);
      },
      close(socket) {
        open.delete(socket);
        turnAway();
      },
      error: turnAway,
    },
  }).catch(turnAway);
}

for (let number = 1; number <= connections; number++) {
  void connect();
  if (number % BATCH === 0) await Bun.sleep(0);
}
while (greeted + turnedAway < connections && performance.now() - startedAt < patienceMs) await Bun.sleep(5);
process.send?.({ greeted, turnedAway, lastGreetingMs } satisfies IdleOpened);
process.once("message", () => {
  process.send?.({ stillOpen: open.size } satisfies IdleEnded);
  process.disconnect?.();
  process.exit(0);
});
