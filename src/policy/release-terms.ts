// How outgoing mail leaves that is released from the quarantine: as it would have left at once, by the policy of now.
import { domainOf, parseAddress } from "../message/address.ts";
import { headOf, type MessageBody } from "../message/body.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { SignOrder } from "../message/sign-order.ts";
import { summarise } from "../message/summary.ts";
import type { QuarantineItem } from "../store/quarantine-item.ts";
import type { ArchiveDetail } from "../store/spool-entry.ts";
import { wantedBy } from "./enterprise-mode.ts";
import type { SenderSettings } from "./schema.ts";
import { signAs } from "./sign-as.ts";
import type { PolicySnapshot } from "./snapshot.ts";
import { domainsHere } from "./spoken-for.ts";

export interface ReleaseTerms {
  readonly edits: readonly HeaderEdit[];
  readonly sign: SignOrder | null;
  /** Never without TLS. */
  readonly overTls: boolean;
  /** Where it is kept now that it is sent (O7). */
  readonly archive: Omit<ArchiveDetail, "recipients" | "direction"> | null;
}

const AS_IT_IS: ReleaseTerms = { edits: [], sign: null, overTls: false, archive: null };

/** Header fields that name the sender's identity and do not go out (O2). */
function removals({ identify_by: by }: SenderSettings): readonly HeaderEdit[] {
  if (typeof by === "string") return [];
  const headers = "header" in by ? [by] : by;
  return headers.flatMap(({ header, remove }) =>
    remove ? [{ kind: "remove", name: header.toLowerCase() } as const] : [],
  );
}

/** `sender` is the key of the outgoing sender; one that no policy knows (any more) is nobody, as for mail of an excepted network. */
export function releaseTerms(
  snapshot: PolicySnapshot,
  item: Pick<QuarantineItem, "direction" | "sender" | "reversePath" | "headerFrom" | "subject"> & {
    readonly message: MessageBody;
  },
): ReleaseTerms {
  if (item.direction === "inbound") return AS_IT_IS;
  const party = snapshot.partyOfKey(item.sender);
  const sender = party?.sender ?? null;
  const { fromAddresses, fromFlaw, senderAddresses } = summarise(headOf(item.message), { senders: true });
  const path = parseAddress(item.reversePath);
  const reversePath = path.ok ? path.value : null;
  // Also of a sender that was removed meanwhile.
  const speaksFor = domainsHere(snapshot, { reversePath, from: fromAddresses, senders: senderAddresses })
    .map(snapshot.ownerOf)
    .filter((domain) => domain !== null);
  const [from] = fromAddresses;
  const single = from !== undefined && fromFlaw === null && fromAddresses.length === 1;
  return {
    edits: sender === null ? [] : removals(sender),
    sign: single ? signAs(snapshot, { from, party, proven: false }) : null,
    overTls:
      item.direction === "outbound" &&
      item.sender !== "" &&
      wantedBy({ domain: party?.domain ?? null, speaksFor }, "requireTls") !== null,
    archive: sender?.archive === true ? archiveFor(snapshot, sender, item) : null,
  };
}

/** As a message that is taken at once: in the archive of its reverse-path's domain when that is ours, else in its sender's. */
function archiveFor(
  snapshot: PolicySnapshot,
  { domain }: SenderSettings,
  item: Pick<QuarantineItem, "sender" | "reversePath" | "headerFrom" | "subject">,
): ReleaseTerms["archive"] {
  const from = parseAddress(item.reversePath);
  const own = from.ok ? snapshot.domain(domainOf(from.value)) : null;
  const { sender, headerFrom, subject } = item;
  return { domain: own?.name ?? domain, sender, headerFrom, subject };
}
