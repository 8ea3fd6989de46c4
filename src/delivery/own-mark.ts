// How this gateway knows itself at the other end of a connection: its listeners say a word of this process to whoever introduces itself with
// our name, and whoever delivers or asks looks for it. Right through NAT and proxies, and where another server bears our name. (RFC 5321 §6.3)
import { randomBytes } from "node:crypto";
import type { Destination } from "./route.ts";

/** The EHLO keyword the mark stands behind. */
export const MARK_KEYWORD = "XSELF";

/** Looks for this gateway behind the servers that are set. */
export interface OwnMark {
  readonly mark: string;
  /** Mail for the destination would come back. */
  readonly onLoop: (destination: Destination, server: string) => void;
}

export function newOwnMark(): string {
  return randomBytes(12).toString("hex");
}

/** Does a reply to EHLO come from the gateway with this mark? */
export function hasMark(ehlo: string, mark: string): boolean {
  return ehlo.split(/\r?\n/).some((line) => line.slice(4) === `${MARK_KEYWORD} ${mark}`);
}

/** `acme.test`, or `(smart host)`: a name no domain has. */
export function loopSubject(destination: Destination): string {
  switch (destination.kind) {
    case "routes":
      // `routes:acme.test`, and `acme.test|10.0.0.1:25` of a call-out.
      return destination.key.replace(/^routes:/, "").replace(/\|.*$| over TLS$/, "");
    case "mx":
      return destination.domain;
    case "smarthost":
      return "(smart host)";
  }
}

const MENDS: Readonly<Record<Destination["kind"], string>> = {
  smarthost: "Set the smart host to the server that takes mail for the world, or none",
  routes: "Set the domain's route to the mail server behind this gateway",
  mx: "Its MX leads here: take it in as a domain with a route to its mail server, or have its DNS changed",
};

/** What is told of it. `server`: `mail.example.test [192.0.2.1]:25`. */
export function loopWords(destination: Destination, server: string): string {
  const mend = MENDS[destination.kind];
  const what = destination.kind === "smarthost" ? "the smart host" : loopSubject(destination);
  return `Mail for ${what} loops back to this gateway: ${server} is one of its own listeners. It waits here. ${mend}.`;
}
