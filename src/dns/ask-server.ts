// One try at one DNS server: over UDP, without EDNS or mixed case where it cannot take them, over TCP for what is long or not sure.
import type { QueryAnswer, QueryType } from "./query-message.ts";
import { refusesEdns } from "./query-message.ts";
import type { ServerState } from "./server-state.ts";
import { askOverTcp } from "./tcp-exchange.ts";
import type { NoAnswer, UdpExchange } from "./udp-exchange.ts";

interface Try {
  readonly name: string;
  readonly type: QueryType;
  readonly tryMs: number;
}

/** Asks once, in up to `tryMs`. What the server turns out to be unable to take is kept in `state`. Never rejects. */
export async function askServer(
  udp: UdpExchange,
  state: ServerState,
  { name, type, tryMs }: Try,
): Promise<QueryAnswer | NoAnswer> {
  const until = performance.now() + tryMs;
  const leftMs = (): number => Math.max(1, Math.floor(until - performance.now()));
  let manner = state.manner();
  let result = await udp.ask(state.server, { name, type, manner }, tryMs);
  if ("failed" in result) return result;
  state.noteAnswer();
  if (manner.edns && refusesEdns(result)) {
    manner = { ...manner, edns: false };
    result = await udp.ask(state.server, { name, type, manner }, leftMs());
    if ("failed" in result) return result;
    if (!refusesEdns(result)) state.noteWithoutEdns();
  }
  if (!result.caseKept) {
    // A forger off the path cannot answer over TCP; a server that folds does so there as well.
    const sure = await askOverTcp(state.server, { name, type, manner }, Math.ceil(leftMs() / 2));
    if (!("failed" in sure)) {
      if (!sure.caseKept) state.noteFoldsCase(true);
      return sure;
    }
    state.noteFoldsCase(false);
    manner = { ...manner, mixCase: false };
    result = await udp.ask(state.server, { name, type, manner }, leftMs());
    if ("failed" in result) return result;
  }
  return result.truncated ? askOverTcp(state.server, { name, type, manner }, leftMs()) : result;
}

/**
 * Does the server answer anything? Asked for the root's name servers, which every resolver knows without asking others: silence for one
 * name may be the fault of that name's own servers and says nothing about ours.
 */
export async function answersAtAll(
  udp: UdpExchange,
  state: ServerState,
  timeoutMs: number,
): Promise<boolean> {
  const question = { name: ".", type: "NS" } as const;
  for (const edns of state.manner().edns ? [true, false] : [false]) {
    const manner = { mixCase: false, edns };
    const result = await udp.ask(state.server, { ...question, manner }, timeoutMs);
    if ("failed" in result) continue;
    // Something on the way drops EDNS without a word.
    if (!edns) state.noteWithoutEdns();
    state.noteAnswer();
    return true;
  }
  return false;
}
