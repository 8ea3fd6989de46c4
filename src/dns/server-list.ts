// Puts one question to the DNS servers until one answers: retries, time-outs, truncation, servers that are down.
import type { Log } from "../observe/log.ts";
import type { QueryAnswer, QueryType } from "./query-message.ts";
import type { DnsServerAddress } from "./server-address.ts";
import { askOverTcp } from "./tcp-exchange.ts";
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
const DOWN_MS = 30_000;
/** When nobody has answered for a while, a question only looks whether somebody is back: mail must not wait for each of them in full. */
const SILENT_ROUNDS = [0.1] as const;
const SILENT_TRIES = 3;

/** Makes the list. `timeoutMs` is the time the rounds are measured by. */
export function createServerList(options: {
  readonly servers: readonly DnsServerAddress[];
  readonly timeoutMs: number;
  readonly log: Log;
}): ServerList {
  const { servers, timeoutMs, log } = options;
  const udp = createUdpExchange();
  const downUntil = new Map<DnsServerAddress, number>();
  /** Tries without an answer, one after the other, over all questions. */
  const unanswered = new Map<DnsServerAddress, number>();

  /** Servers in their order, those that failed lately last. */
  const inOrder = (): readonly DnsServerAddress[] => {
    const now = performance.now();
    const isDown = (server: DnsServerAddress): number => ((downUntil.get(server) ?? 0) > now ? 1 : 0);
    return servers.length === 1 ? servers : [...servers].sort((a, b) => isDown(a) - isDown(b));
  };

  const askOne = async (
    server: DnsServerAddress,
    question: Parameters<typeof askOverTcp>[1],
    tryMs: number,
  ): Promise<QueryAnswer | NoAnswer> => {
    const result = await udp.ask(server, question, tryMs);
    if ("failed" in result || !result.truncated) return result;
    return askOverTcp(server, question, tryMs);
  };

  const markDown = (server: DnsServerAddress, words: string): void => {
    if ((downUntil.get(server) ?? 0) <= performance.now()) {
      log.warn({ server: `${server.host}:${server.port}`, cause: words }, "a DNS server does not answer");
    }
    downUntil.set(server, performance.now() + DOWN_MS);
    unanswered.set(server, (unanswered.get(server) ?? 0) + 1);
  };
  const allSilent = (): boolean => servers.every((server) => (unanswered.get(server) ?? 0) >= SILENT_TRIES);

  return {
    async ask(name, type, deadline) {
      let words = "no time left to ask";
      const refused = new Set<DnsServerAddress>();
      const rounds: readonly number[] = allSilent() ? SILENT_ROUNDS : ROUNDS;
      for (const [round, share] of rounds.entries()) {
        for (const server of inOrder()) {
          const tryMs = Math.floor(Math.min(share * timeoutMs, deadline - performance.now()));
          if (refused.has(server)) continue;
          if (tryMs < 1) return { failed: words };
          // The last round serves servers that do not echo the case of the question.
          const question = { name, type, caseMatters: round < rounds.length - 1 };
          const result = await askOne(server, question, tryMs);
          const from = `${server.host}:${server.port}`;
          if ("failed" in result) {
            words = `${from}: ${result.failed}`;
            markDown(server, result.failed);
          } else {
            downUntil.delete(server);
            unanswered.delete(server);
            if (result.rcode !== "other") return { answer: result, server };
            words = `${from} answered with error ${result.rcodeNumber}`;
            refused.add(server);
          }
        }
      }
      return { failed: words };
    },
    close: () => udp.close(),
  };
}
