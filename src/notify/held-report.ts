// An abuse report that is held back until its hour is over, and its form in the database. Pure.
import { z } from "zod";
import type { StoppedMessage } from "./outgoing-notices.ts";

/** The reports of one identity, or of all further ones of a domain. */
export interface HeldReport {
  readonly domain: string;
  readonly several: boolean;
  /** When the last report went out, milliseconds UTC. */
  sentAt: number;
  /** Messages since, and when the first of them came. */
  count: number;
  since: number;
  /** The newest of them. */
  message: StoppedMessage | null;
}

const keptSchema = z.object({
  domain: z.string(),
  several: z.boolean(),
  sentAt: z.number(),
  count: z.number(),
  since: z.number(),
  message: z
    .object({
      messageId: z.string(),
      at: z.number(),
      domain: z.string(),
      sender: z.string(),
      identity: z.string().nullable(),
      kind: z.enum(["spam", "virus", "bulk", "program"]).nullable(),
      quarantined: z.boolean(),
      rule: z.string(),
      words: z.string(),
      reversePath: z.string(),
      recipients: z.array(z.string()),
      clientIp: z.string(),
      /** base64. */
      header: z.string(),
      authenticationResults: z.string().exactOptional(),
    })
    .nullable(),
});

// A report names no more of them.
const MAX_RECIPIENTS = 20;

/** As JSON. */
export function toKept(report: HeldReport): unknown {
  const { message } = report;
  if (message === null) return { ...report };
  const recipients = message.recipients.slice(0, MAX_RECIPIENTS);
  return {
    ...report,
    message: { ...message, recipients, header: Buffer.from(message.header).toString("base64") },
  };
}

/** From JSON; null when another version wrote it in a way this one does not read. */
export function fromKept(value: unknown): HeldReport | null {
  const parsed = keptSchema.safeParse(value);
  if (!parsed.success) return null;
  const { message, ...report } = parsed.data;
  if (message === null) return { ...report, message };
  return {
    ...report,
    message: { ...message, header: new Uint8Array(Buffer.from(message.header, "base64")) },
  };
}
