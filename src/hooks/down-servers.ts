// The password servers that cannot be asked now: nobody else waits for one for a moment, an alarm stands, and each is looked at again until
// it answers, so that the alarm ends without a login of anybody.
import type { OnAlarm } from "../observe/alarms.ts";
import type { Log } from "../observe/log.ts";
import { lookAgain } from "../observe/look-again.ts";
import { DialogueError } from "./line-dialogue.ts";
import {
  type DialogueParts,
  lookAtMailServer,
  type PasswordServerAddress,
  serverKey,
  serverName,
} from "./mail-server-dialogue.ts";

export interface DownServers {
  /** Why it cannot be asked, where it was down a moment ago; else null. */
  wordsOf(server: PasswordServerAddress): string | null;
  /** No login can be tried there. */
  down(server: PasswordServerAddress, words: string): void;
  /** It was there, and gave no clear answer to one login. */
  unclear(server: PasswordServerAddress, words: string): void;
  /** It gave a clear answer. */
  answered(server: PasswordServerAddress): void;
  stop(): void;
}

export interface DownServersParts extends DialogueParts {
  readonly onAlarm: OnAlarm;
  readonly log: Log;
  /** Is anybody's password checked there? Left out: always. */
  readonly isAsked?: (server: PasswordServerAddress) => boolean;
}

/** After a dialogue that came to nothing, for so long nobody else waits for the same. */
export const DOWN_MS = 5000;
/** Without a login there is no way to find out whether the next one gets an answer: it is told for so long. */
const UNCLEAR_FOR_MS = 3_600_000;

/** Starts with none down. */
export function createDownServers(parts: DownServersParts): DownServers {
  const { clock, onAlarm } = parts;
  const isAsked = parts.isAsked ?? (() => true);
  const downs = new Map<string, { readonly until: number; readonly words: string }>();

  const raise = (server: PasswordServerAddress, words: string): void =>
    onAlarm(
      alarmOf(server),
      `Passwords cannot be checked at ${serverName(server)}: ${words}. Logins of its domain are put off with 454 meanwhile.`,
      { isSet: () => isAsked(server) },
    );

  /** What the last look at a server found. */
  const found = new WeakMap<PasswordServerAddress, string>();
  const again = lookAgain<PasswordServerAddress>({
    async isOver(server) {
      if (!isAsked(server)) return true;
      try {
        await lookAtMailServer(server, parts);
        return true;
      } catch (error) {
        if (!(error instanceof DialogueError)) throw error;
        found.set(server, error.message);
        return false;
      }
    },
    onOver(server) {
      downs.delete(serverKey(server));
      onAlarm(alarmOf(server), null);
    },
    // A login that got its answer during the look has lifted the alarm, and nobody would look again.
    onStill: (server) => raise(server, found.get(server) ?? ""),
    // Not the server's doing: it stays down as far as anybody knows, and is looked at again.
    onFailure: (error) => parts.log.error({ err: error }, "a password server could not be looked at"),
    clock,
  });

  return {
    wordsOf(server) {
      const found = downs.get(serverKey(server));
      return found !== undefined && found.until > clock.now() ? found.words : null;
    },
    down(server, words) {
      const key = serverKey(server);
      downs.set(key, { until: clock.now() + DOWN_MS, words });
      again.note(key, server);
      raise(server, words);
    },
    unclear(server, words) {
      again.forget(serverKey(server));
      onAlarm(
        alarmOf(server),
        `A login could not be checked at ${serverName(server)}: ${words}. It was put off with 454; logins of others go on being asked for there.`,
        { isSet: () => isAsked(server), forMs: UNCLEAR_FOR_MS },
      );
    },
    answered(server) {
      const key = serverKey(server);
      downs.delete(key);
      again.forget(key);
      onAlarm(alarmOf(server), null);
    },
    stop: again.stop,
  };
}

function alarmOf(server: PasswordServerAddress): `password-server ${string}` {
  return `password-server ${serverKey(server)}`;
}
