// MAIL of an outgoing sender: TLS where its domain wants it (O14), locks and limits (O3, O4), and that its address exists (O10).
import { addressKey, type MailAddress } from "../message/address.ts";
import { wantedBy } from "../policy/enterprise-mode.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { OutgoingParty, PolicySnapshot } from "../policy/snapshot.ts";
import { addressExists } from "./address-exists.ts";
import type { RecipientAnswer, SessionServices } from "./services.ts";
import { outgoingConnection, type Session } from "./session.ts";

/** The transaction a sender begins. */
export interface SenderStart {
  readonly party: OutgoingParty;
  readonly snapshot: PolicySnapshot;
  readonly reversePath: MailAddress | null;
  /** `Transaction.writer`. */
  readonly writer: string | null;
}

const MAX_SHOWN = 150;

function fromMustExist(party: OutgoingParty): boolean {
  return wantedBy(party, "fromMustExist") !== null;
}

/** Is its mail sent on over TLS only? */
export function needsTls(party: OutgoingParty): boolean {
  return wantedBy(party, "requireTls") !== null;
}

/** A login in the clear, where the domain of the sender or one it writes for wants TLS. Asked at MAIL, and again with the header. */
export function refuseClearLogin(
  { client }: Pick<Session, "client">,
  party: OutgoingParty,
  at: "mail" | "data",
): Reply | null {
  if (client.login === null || client.tls !== null) return null;
  const domain = wantedBy(party, "requireTls");
  if (domain === null) return null;
  return reply(
    at === "mail" ? 530 : 550,
    "7.10",
    `${domain.name} takes mail of its senders over TLS only; start TLS, then log in again`,
    "require_tls",
  );
}

/** Refuses the transaction, or null. A promise only where a server must be asked whether the address exists. */
export function refuseStart(
  session: Session,
  start: SenderStart,
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { party, reversePath, writer } = start;
  const clear = refuseClearLogin(session, party, "mail");
  if (clear !== null) return clear;
  const stopped = services.outgoing.admitTransaction(party, outgoingConnection(session), writer);
  return stopped === null
    ? refuseUnknown(start, reversePath, services)
    : services.outgoing.locksKept().then(() => stopped);
}

/** Where the sender's domain wants it, the address must exist if it is one of ours. null: it does, or it need not. */
function refuseUnknown(
  { party, snapshot }: Pick<SenderStart, "party" | "snapshot">,
  address: MailAddress | null,
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  if (address === null || !fromMustExist(party)) return null;
  const found = addressExists(address, snapshot, services);
  return found instanceof Promise
    ? found.then((answered) => unknownReply(address, answered))
    : unknownReply(address, found);
}

function unknownReply(address: MailAddress, found: RecipientAnswer): Reply | null {
  const shown = address.length > MAX_SHOWN ? `${address.slice(0, MAX_SHOWN)}...` : address;
  switch (found.known) {
    case "yes":
      return null;
    case "no":
      return reply(
        550,
        "1.8",
        `The sender address ${shown} does not exist; write your own, or ask your administrator to add it`,
        `from_must_exist: ${found.text}`,
      );
    case "unsure":
      return reply(
        450,
        "1.8",
        `The sender address ${shown} cannot be verified now, try again later`,
        `from_must_exist: ${found.text}`,
      );
  }
}

/** The same for the From header: asked again only when it is another address than the envelope's. */
export function refuseUnknownFrom(
  start: SenderStart,
  headerFrom: readonly MailAddress[],
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { reversePath } = start;
  const asked = reversePath === null ? "" : addressKey(reversePath);
  const others = headerFrom.filter((address) => addressKey(address) !== asked);
  const [only] = others;
  if (only === undefined) return null;
  return others.length === 1 ? refuseUnknown(start, only, services) : refuseAny(start, others, services);
}

/** How many From addresses of a server's mail are asked about; a login has one. */
const MAX_ASKED = 5;

async function refuseAny(
  start: SenderStart,
  addresses: readonly MailAddress[],
  services: SessionServices,
): Promise<Reply | null> {
  if (addresses.length > MAX_ASKED && fromMustExist(start.party))
    return reply(550, "1.8", `The From header has more than ${MAX_ASKED} addresses`, "from_must_exist");
  for (const address of addresses) {
    const refusal = await refuseUnknown(start, address, services);
    if (refusal !== null) return refusal;
  }
  return null;
}
