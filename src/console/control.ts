// The command line's door: what each command asks of the running gateway, and what comes back. Plain data, shared by both ends.
import type { Lock, LockKey } from "../outgoing/outgoing.ts";
import type { PlanResult } from "../policy/settings.ts";
import type { QueueEntry } from "../queue/queue.ts";
import type { Explanation } from "../session/explain.ts";
import type { FoundLines, LogFilter, LogMessage } from "../store/message-log.ts";
import type { QuarantineItem } from "../store/quarantine-item.ts";

/** Every command with its question and its answer. */
export interface ControlCommands {
  status: {
    ask: Record<string, never>;
    answer: {
      readonly version: string;
      readonly setupCode: string | null;
      readonly listeners: readonly {
        readonly name: string;
        readonly listen: string;
        readonly state: string;
        readonly words: string;
        /** True when a stranger may speak to it: no login is needed, and TLS does not come first. */
        readonly forStrangers: boolean;
      }[];
      readonly alarms: readonly { readonly name: string; readonly words: string }[];
    };
  };
  plan: { ask: { readonly text: string; readonly prune: boolean }; answer: PlanResult };
  apply: { ask: { readonly text: string; readonly prune: boolean }; answer: PlanResult };
  /** `secrets`: what is recoverable in clear; else `***`, which an apply takes as "leave it". */
  export: { ask: { readonly secrets?: boolean }; answer: { readonly text: string } };
  check: {
    ask: {
      readonly messageBase64: string;
      readonly from: string | null;
      readonly to: readonly string[];
      readonly ip: string;
      readonly helo: string;
      readonly login: string | null;
    };
    answer: Explanation;
  };
  "log-search": { ask: { readonly filter: LogFilter }; answer: FoundLines };
  "log-get": { ask: { readonly id: string }; answer: LogMessage | null };
  "queue-list": { ask: { readonly limit: number; readonly offset: number }; answer: readonly QueueEntry[] };
  "queue-retry": { ask: { readonly id: string | null }; answer: number };
  "queue-hold": { ask: { readonly id: string | null }; answer: number };
  "queue-drop": { ask: { readonly id: string }; answer: number };
  "quarantine-list": {
    ask: {
      readonly recipient?: string;
      readonly domain?: string;
      readonly class?: QuarantineItem["class"];
      readonly limit: number;
      readonly before?: { readonly receivedAt: number; readonly id: string };
    };
    answer: readonly QuarantineItem[];
  };
  "quarantine-release": {
    ask: { readonly id: string; readonly malware?: boolean };
    /** `found`: malware, which is not released without `malware`. */
    answer: "released" | "already" | "gone" | { readonly found: string } | { readonly refused: string };
  };
  /** False: there is no such item. */
  "quarantine-seen": { ask: { readonly id: string }; answer: boolean };
  "quarantine-delete": { ask: { readonly id: string }; answer: boolean };
  "lock-list": { ask: Record<string, never>; answer: readonly Lock[] };
  /** False: it was not locked. */
  "lock-unlock": { ask: LockKey; answer: boolean };
  backup: { ask: { readonly directory: string }; answer: { readonly files: number; readonly bytes: number } };
  "admin-reset": { ask: Record<string, never>; answer: { readonly setupCode: string } };
}

export type ControlCommand = keyof ControlCommands;

/** What goes over the socket: the answer, or the reason there is none. */
export type ControlResponse<Name extends ControlCommand> =
  | { readonly ok: true; readonly answer: ControlCommands[Name]["answer"] }
  | { readonly ok: false; readonly error: string };

/** The functions behind the commands. */
export type ControlHandlers = {
  readonly [Name in ControlCommand]: (
    ask: ControlCommands[Name]["ask"],
  ) => Promise<ControlCommands[Name]["answer"]>;
};

/** The socket's file name in the data directory. */
export const CONTROL_SOCKET = "gatepost.sock";
