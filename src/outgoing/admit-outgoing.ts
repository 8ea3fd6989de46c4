// May a sender go on? Asked at MAIL, RCPT and the end of DATA, so that locks and limits take effect on open connections.
import { wantedBy } from "../policy/enterprise-mode.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { OutgoingParty } from "../policy/snapshot.ts";
import { countNew, refuseWhileWaiting } from "./bulk-watch.ts";
import { envelopeIdentity } from "./find-identity.ts";
import type { Outgoing, OutgoingConnection, OutgoingMessage } from "./outgoing.ts";
import {
  correspondence,
  countBoth,
  countVolume,
  type OutgoingParts,
  type Seen,
  seen,
  seenBehind,
} from "./outgoing-parts.ts";
import { countConnection, refuseConnection, refuseRecipients } from "./sending-limits.ts";
import { planBehind, planOf, type SendingPlan } from "./sending-plan.ts";

type Admission = Pick<Outgoing, "admitTransaction" | "admitRecipient" | "admitMessage" | "noteRefused">;

/** The questions a session asks before a message is checked. */
export function createAdmission(parts: OutgoingParts): Admission {
  const isCorrespondent = correspondence(parts);

  return {
    admitTransaction(party, connection, writer) {
      const name = envelopeIdentity(party.sender, planOf(party).identifyBy, writer);
      const plan = planBehind(party, name);
      const who = seen(parts, party, name);
      return (
        refuseBarred(plan, party) ??
        refuseLocked(parts, who) ??
        admitConnection(parts, who, { plan, connection })
      );
    },

    admitRecipient(party, writer, pending) {
      const name = envelopeIdentity(party.sender, planOf(party).identifyBy, writer);
      const plan = planBehind(party, name);
      const who = seen(parts, party, name);
      return refuseLocked(parts, who) ?? refuseCount(who, plan, pending + 1);
    },

    admitMessage(message) {
      const { party, connection, recipients } = message;
      const plan = planBehind(party, message.identity);
      const who = seenBehind(parts, message);
      const answer =
        refuseBarred(plan, party) ??
        refuseUnknown(message, plan) ??
        refuseLocked(parts, who) ??
        refuseCount(who, plan, recipients.length) ??
        (who.identity === null || who.identity.waiting === null || !plan.slowed
          ? null
          : refuseWhileWaiting(who.identity, countNew(who.identity, recipients, isCorrespondent), who.now)) ??
        admitConnection(parts, who, { plan, connection });
      if (answer !== null) return answer;
      const limited = [
        ...(plan.sender.recipients === null ? [] : [who.sender]),
        ...(plan.identity.recipients === null || who.identity === null ? [] : [who.identity]),
      ];
      parts.sent.reserve(message, limited, who.now);
      return null;
    },

    noteRefused(party, name) {
      const { key, sender } = party;
      const who = seen(parts, party, null);
      // Nobody becomes an identity by a name that was refused; a person with a login is one.
      const known = name === null ? null : parts.store.find(key, name);
      const identity =
        known ?? (name !== null && name === sender.login ? parts.store.get(key, name, sender.domain) : null);
      countBoth(parts, { ...who, identity }, (tally) => countVolume(tally, who.now, "refused"));
    },
  };
}

function refuseBarred({ barred }: SendingPlan, { sender }: OutgoingParty): Reply | null {
  if (!barred) return null;
  return reply(
    550,
    "7.1",
    "This domain may not send mail; ask the administrator",
    `the domain ${sender.domain} is barred from sending`,
  );
}

function refuseLocked({ locks }: OutgoingParts, { sender, identity }: Seen): Reply | null {
  return (
    locks.refuse(sender.sender, "") ??
    (identity === null ? null : locks.refuse(identity.sender, identity.name))
  );
}

function refuseUnknown({ identity, party }: OutgoingMessage, plan: SendingPlan): Reply | null {
  if (identity !== null || !plan.knownIdentitiesOnly) return null;
  const expected =
    typeof plan.identifyBy === "string"
      ? "it has no envelope sender"
      : `it needs the header ${plan.headerNames.join(" or ")} to say who sent it`;
  return reply(
    550,
    "7.1",
    `Message refused: ${expected}`,
    `no identity was found in mail of ${party.key}, and ${wantedBy(party, "knownIdentitiesOnly")?.name ?? party.sender.domain} sends for known identities only`,
  );
}

function refuseCount({ now, sender, identity }: Seen, plan: SendingPlan, wanted: number): Reply | null {
  return (
    refuseRecipients(sender, plan.sender, { now, wanted }) ??
    (identity === null ? null : refuseRecipients(identity, plan.identity, { now, wanted }))
  );
}

/** Asks both before either is counted: a refused connection counts for nobody. */
function admitConnection(
  { store, counted }: OutgoingParts,
  { now, sender, identity }: Seen,
  { plan, connection }: { readonly plan: SendingPlan; readonly connection: OutgoingConnection },
): Reply | null {
  if (plan.sender.keepConnectionsMs === 0 && plan.identity.keepConnectionsMs === 0) return null;
  const at = { now, connection, counted };
  const answer =
    refuseConnection(sender, plan.sender, at) ??
    (identity === null ? null : refuseConnection(identity, plan.identity, at));
  if (answer !== null) return answer;
  if (countConnection(sender, plan.sender, at)) store.changed(sender);
  if (identity !== null && countConnection(identity, plan.identity, at)) store.changed(identity);
  return null;
}
