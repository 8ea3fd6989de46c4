// How strictly a client is held to the standards: strangers by the letter, our own devices and programs as they are. Settings per listener.
import type { BodyLimits } from "./body-collector.ts";
import { isTrustedClient } from "./connect.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

/** Is the client one of our own: logged in, or of a trusted network or IP sender? */
export function isOwnClient(session: Session, services: Pick<SessionServices, "snapshot">): boolean {
  return session.client.login !== null || isTrustedClient(session, services.snapshot());
}

/**
 * May the client's commands depart from RFC 5321? Where everybody must log in, nobody who does not gets anywhere, so a client may be odd
 * there before it has: it says EHLO first.
 */
export function isLenient(session: Session, services: Pick<SessionServices, "snapshot">): boolean {
  switch (session.listener.strict_syntax) {
    case "everybody":
      return false;
    case "nobody":
      return true;
    case "strangers":
      return session.listener.auth === "required" || isOwnClient(session, services);
  }
}

/** What is done with odd octets in the body that this client sends. */
export function bodyStrictness(
  session: Session,
  services: Pick<SessionServices, "snapshot">,
): Required<Pick<BodyLimits, "lineEnds" | "refuseNul">> {
  const { bare_lf, bare_lf_trusted, nul } = session.listener;
  const same = bare_lf === bare_lf_trusted;
  const lineEnds = !same && isOwnClient(session, services) ? bare_lf_trusted : bare_lf;
  return { lineEnds, refuseNul: nul === "refuse" };
}
