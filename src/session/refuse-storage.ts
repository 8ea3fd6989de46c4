// Mail that could not be kept is refused before it is sent to us (RFC 1870 §6.1, RFC 5321 §4.2.2): at MAIL with its size, and at DATA.
import { type Reply, reply } from "../policy/reply.ts";
import type { StoreError } from "../store/database.ts";
import type { SessionServices } from "./services.ts";

/** The refusal of a message of about so many octets, or null when there is room for it. */
export function refuseStorage(bytes: number, { storage }: Pick<SessionServices, "storage">): Reply | null {
  const why = storage.refusal(bytes);
  return why === null ? null : storageReply(why);
}

/** What the client is told when its mail cannot be kept. */
export function storageReply({ kind, message }: Pick<StoreError, "kind" | "message">): Reply {
  return kind === "disk-full"
    ? reply(452, "3.1", "No space at the moment, try again later", message)
    : reply(451, "3.0", "The message could not be stored, try again later", message);
}
