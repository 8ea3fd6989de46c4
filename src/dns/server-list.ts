// Puts one question to the DNS servers until one answers: retries, time-outs, servers that are down.
import type { Log } from "../observe/log.ts";
import { answersAtAll, askServer } from "./ask-server.ts";
import type { QueryAnswer, QueryType } from "./query-message.ts";
import type { DnsServerAddress } from "./server-address.ts";
import { createServerState, type ServerState } from "./server-state.ts";
import { createUdpExchange, type NoAnswer } from "./udp-exchange.ts";

/** An answer with the server it came from. */
export interface ServerAnswer {
  readonly answer: QueryAnswer;
  readonly server: DnsServerAddress;
}

export interface ServerList {
  /** Asks until `deadline` (by `performance.now()`). Never rejects. */
  ask(name: string, type: QueryType, deadline: number): Promise<ServerAnswer | NoAnswer>;
  close(): void;
}

// Shares of the whole time that one try may take, per round.
const ROUNDS = [0.2, 0.3, 0.5] as const;
/** While no server answers anything, a question only looks whether one is back: mail must not wait for each of them in full. */
const SILENT_ROUNDS = [0.1] as const;
const PROBE_SHARE = 0.1;
/** While none answers it is looked anew, so that the end of it is known without a question of anybody. */
const LOOK_AGAIN_MS = 30_000;

/** Makes the list. `timeoutMs` is the time the rounds are measured by. */
export function createServerList(options: {
  readonly servers: readonly DnsServerAddress[];
  readonly timeoutMs: number;
  readonly log: Log;
  /** Told when none of them answers anything (with their names), and when one does again (null). */
  readonly onSilence?: (servers: readonly string[] | null) => void;
}): ServerList {
  const { timeoutMs, log } = options;
  const udp = createUdpExchange();
  const states = options.servers.map(createServerState);
  const probing = new Set<ServerState>();
  let closed = false;
  let lookingAgain: ReturnType<typeof setInterval> | null = null;
  const probeMs = Math.max(1, Math.floor(PROBE_SHARE * timeoutMs));

  /** Servers in their order, those that are down last. */
  const inOrder = (): readonly ServerState[] =>
    states.length === 1 ? states : [...states].sort((a, b) => Number(a.isDown) - Number(b.isDown));

  const markDown = (state: ServerState, cause: string): void => {
    if (state.noteDown()) log.warn({ server: state.name, cause }, "a DNS server does not answer");
    if (lookingAgain !== null || !states.every((one) => one.isDown)) return;
    options.onSilence?.(states.map(({ name }) => name));
    lookingAgain = setInterval(async () => {
      const alive = await Promise.all(states.map((one) => answersAtAll(udp, one, probeMs)));
      if (alive.includes(true)) noteEnd();
    }, LOOK_AGAIN_MS);
    lookingAgain.unref();
  };

  const noteEnd = (): void => {
    if (lookingAgain === null) return;
    clearInterval(lookingAgain);
    lookingAgain = null;
    if (!closed) options.onSilence?.(null);
  };

  /** A name was left unanswered: whether that is the server's fault is found out beside the question. */
  const lookInto = async (state: ServerState, cause: string): Promise<void> => {
    if (probing.has(state)) return;
    probing.add(state);
    const alive = await answersAtAll(udp, state, probeMs);
    probing.delete(state);
    if (!alive && !closed) markDown(state, cause);
  };

  const judgeFailure = (state: ServerState, failure: NoAnswer, askedAt: number): void => {
    if (closed || state.answeredSince(askedAt)) return;
    if (failure.silent) void lookInto(state, failure.failed);
    else markDown(state, failure.failed);
  };

  return {
    async ask(name, type, deadline) {
      let words = "no time left to ask";
      const refused = new Set<ServerState>();
      const rounds: readonly number[] = states.every((state) => state.isDown) ? SILENT_ROUNDS : ROUNDS;
      for (const share of rounds) {
        for (const state of inOrder()) {
          const askedAt = performance.now();
          const tryMs = Math.floor(Math.min(share * timeoutMs, deadline - askedAt));
          if (refused.has(state)) continue;
          if (tryMs < 1) return { failed: words };
          const result = await askServer(udp, state, { name, type, tryMs });
          if ("failed" in result) {
            words = `${state.name}: ${result.failed}`;
            judgeFailure(state, result, askedAt);
          } else {
            noteEnd();
            if (result.rcode !== "other") return { answer: result, server: state.server };
            words = `${state.name} answered with error ${result.rcodeNumber}`;
            refused.add(state);
          }
        }
      }
      return { failed: words };
    },
    close() {
      closed = true;
      noteEnd();
      udp.close();
    },
  };
}
