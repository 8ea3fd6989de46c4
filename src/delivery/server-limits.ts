// What our own mail servers take, learnt from their EHLO: so that nothing is accepted for them that they will not take. No I/O.
import type { Clock } from "../observe/clock.ts";
import type { Route } from "./route.ts";
import type { Extensions } from "./smtp-session.ts";

/** `maxBytes` is 0 without a limit. */
export type TakenMail = Pick<Extensions, "maxBytes" | "smtpUtf8">;

export interface ServerLimits {
  /** A server of a route has said what it offers. */
  learn(server: { readonly name: string; readonly port: number }, offered: TakenMail): void;
  /** What the widest of the routes takes; null while that of one of them is not known. */
  of(routes: readonly Pick<Route, "host" | "port">[]): TakenMail | null;
}

/** Each new connection says it anew; what nobody has heard for so long does not count. */
const KEEP_MS = 6 * 3_600_000;
const MAX_SERVERS = 2000;

/** Makes it with nothing learnt. */
export function createServerLimits(clock: Clock): ServerLimits {
  const known = new Map<string, TakenMail & { readonly at: number }>();
  return {
    learn({ name, port }, { maxBytes, smtpUtf8 }) {
      if (known.size >= MAX_SERVERS) known.clear();
      known.set(`${name.toLowerCase()}|${port}`, { maxBytes, smtpUtf8, at: clock.now() });
    },
    of(routes) {
      if (known.size === 0 || routes.length === 0) return null;
      const all: TakenMail[] = [];
      for (const { host, port } of routes) {
        const name = host.replace(/^\[(?:ipv6:)?|\]$/gi, "").toLowerCase();
        const one = known.get(`${name}|${port}`);
        if (one === undefined || clock.now() - one.at > KEEP_MS) return null;
        all.push(one);
      }
      const unlimited = all.some(({ maxBytes }) => maxBytes === 0);
      return {
        maxBytes: unlimited ? 0 : Math.max(...all.map(({ maxBytes }) => maxBytes)),
        smtpUtf8: all.some(({ smtpUtf8 }) => smtpUtf8),
      };
    },
  };
}
