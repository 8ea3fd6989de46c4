// Which logins were taken and which were not, from where and why: what the help desk asks for. Bounded whoever guesses: so many logins, so
// many networks of each. What concerns logins there are is kept over a restart; a failure to keep it stops no login.
import { clientNetwork } from "../message/client-network.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { NoticeState } from "../store/notice-state.ts";
import type { LoginAttempt } from "./bans.ts";
import { createRecentMap } from "./recent-map.ts";

/** A login as seen from one network; times in milliseconds UTC, 0: never. */
export interface LoginTrace {
  /** `192.0.2.7/32`, or the /64 of an IPv6 address. */
  readonly network: string;
  readonly taken: number;
  readonly takenAt: number;
  readonly refused: number;
  readonly refusedAt: number;
  /** Why it was refused or put off the last time; "" when it never was. */
  readonly cause: string;
}

/** A login that was not taken lately. */
export interface RefusedLogin extends LoginTrace {
  readonly login: string;
  /** False: nobody has this login. */
  readonly exists: boolean;
}

export interface LoginBook {
  /** `cause` null: it was taken. `exists`: somebody has this login. */
  note(attempt: LoginAttempt, what: { readonly cause: string | null; readonly exists: boolean }): void;
  /** By network, the last one first. */
  of(login: string): readonly LoginTrace[];
  /** Those that were refused, the last one first. */
  refused(limit: number): readonly RefusedLogin[];
  /** Keeps what is new. */
  close(): Promise<void>;
}

export const LOGIN_BOOK_LIMITS = {
  /** Logins there are. */
  known: 5000,
  /** Made up ones. */
  unknown: 500,
  networks: 8,
  loginCharacters: 320,
  causeCharacters: 200,
  keepEveryMs: 30_000,
} as const;

const KIND = "smtp-login";
const NEVER = { taken: 0, takenAt: 0, refused: 0, refusedAt: 0, cause: "" } as const;

/** Opens the book with what was kept. */
export async function openLoginBook(parts: {
  readonly state: NoticeState;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<LoginBook> {
  const { state, clock, log } = parts;
  const limits = LOGIN_BOOK_LIMITS;
  const known = createRecentMap<readonly LoginTrace[]>(limits.known);
  const unknown = createRecentMap<readonly LoginTrace[]>(limits.unknown);
  const kept = new Set<string>();
  const changed = new Set<string>();
  let due: (() => void) | null = null;
  let closed = false;

  for (const { key, value } of await state.load(KIND)) {
    kept.add(key);
    if (Array.isArray(value)) known.set(key, value as readonly LoginTrace[]);
  }

  async function keep(): Promise<void> {
    due?.();
    due = null;
    const logins = [...changed];
    changed.clear();
    // What was pushed out of memory leaves the disk as well: neither grows.
    const gone = [...kept].filter((login) => known.get(login) === undefined);
    const entries = logins.flatMap((key) => {
      const value = known.get(key);
      return value === undefined ? [] : [{ key, value }];
    });
    try {
      await state.keep(KIND, [...entries, ...gone.map((key) => ({ key, value: null }))]);
      for (const { key } of entries) kept.add(key);
      for (const key of gone) kept.delete(key);
    } catch (err) {
      log.warn(
        { err, logins: entries.length },
        "when people last logged in could not be kept; it is tried again",
      );
      for (const login of logins) changed.add(login);
      plan();
    }
  }

  function plan(): void {
    if (!closed) due ??= clock.after(limits.keepEveryMs, () => void keep());
  }

  return {
    note({ ip, login }, { cause, exists }) {
      const key = login.slice(0, limits.loginCharacters);
      const network = clientNetwork(ip)?.host ?? ip;
      const map = exists ? known : unknown;
      const traces = map.get(key) ?? [];
      const before = traces.find((trace) => trace.network === network) ?? { ...NEVER, network };
      const now = clock.now();
      const trace =
        cause === null
          ? { ...before, taken: before.taken + 1, takenAt: now }
          : {
              ...before,
              refused: before.refused + 1,
              refusedAt: now,
              cause: cause.slice(0, limits.causeCharacters),
            };
      map.set(key, withTrace(traces, trace));
      if (!exists) return;
      changed.add(key);
      plan();
    },
    of: (login) => known.get(login) ?? [],
    refused(limit) {
      const lines = (map: typeof known, exists: boolean): RefusedLogin[] =>
        map
          .keys()
          .flatMap((login) =>
            (map.get(login) ?? [])
              .filter(({ refusedAt }) => refusedAt > 0)
              .map((trace) => ({ ...trace, login, exists })),
          );
      return [...lines(known, true), ...lines(unknown, false)]
        .sort((a, b) => b.refusedAt - a.refusedAt)
        .slice(0, limit);
    },
    async close() {
      closed = true;
      await keep();
    },
  };
}

/** The newest first. Guessers from everywhere do not push out the networks the person has logged in from: those go last. */
function withTrace(traces: readonly LoginTrace[], trace: LoginTrace): readonly LoginTrace[] {
  const others = traces.filter(({ network }) => network !== trace.network);
  if (others.length < LOGIN_BOOK_LIMITS.networks) return [trace, ...others];
  const out = others.findLastIndex(({ takenAt }) => takenAt === 0);
  return [trace, ...others.toSpliced(out < 0 ? others.length - 1 : out, 1)];
}
