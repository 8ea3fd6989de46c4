// The address of an identity's page. Names stand in the query: people choose them, and ".." would not survive in a path.
import type { LockKey } from "../../outgoing/outgoing.ts";

/** The page of an identity, or of a whole sender. */
export function identityUrl({ sender, identity }: LockKey): string {
  return `/identity?${keyQuery({ sender, identity })}`;
}

/** The key as query parameters and form fields. */
export function keyQuery({ sender, identity }: LockKey): URLSearchParams {
  return new URLSearchParams(identity === null ? { sender } : { sender, name: identity });
}

/** Reads a key; null when it names no sender. */
export function keyOf(read: (name: string) => string | null | undefined): LockKey | null {
  const sender = (read("sender") ?? "").slice(0, 320);
  const name = (read("name") ?? "").slice(0, 320);
  return sender === "" ? null : { sender, identity: name === "" ? null : name };
}
