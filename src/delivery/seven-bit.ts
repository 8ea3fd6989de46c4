// A message for a server without 8BITMIME: looked through, and converted when it has 8 bits, whatever was declared. A large one is read
// from its file for that, and converted anew wherever it is read from then on: it is never in memory, nor on the disk a second time.
import { isAscii } from "node:buffer";
import { isLarge, type LargeBody, type MessageBody } from "../message/body.ts";
import { bodyStartIn } from "../message/header-block.ts";
import { SevenBitConverter, type SevenBitPlan, SevenBitSurvey } from "../message/seven-bit.ts";
import { bodyPieces, filePieces } from "../store/body-file.ts";

/** The same message in 7 bits, or null when it cannot be converted; itself when its body has no 8-bit octets. Rejects with StoreError. */
export async function toSevenBits(message: MessageBody): Promise<MessageBody | null> {
  if (!isLarge(message) && isAscii(message)) return message;
  const survey = new SevenBitSurvey();
  for await (const piece of bodyPieces(message)) if (!survey.take(piece)) return null;
  const plan = survey.finish();
  if (plan === null) return null;
  if (plan === "none") return message;
  return isLarge(message) ? largeInSevenBits(message, plan) : smallInSevenBits(message, plan);
}

function smallInSevenBits(message: Uint8Array, plan: SevenBitPlan): Uint8Array {
  const converter = new SevenBitConverter(plan);
  return Buffer.concat([converter.take(message), converter.finish()]);
}

async function largeInSevenBits({ head, rest }: LargeBody, plan: SevenBitPlan): Promise<LargeBody | null> {
  const headerBytes = bodyStartIn(Buffer.from(head.buffer, head.byteOffset, head.byteLength));
  if (headerBytes === null) return null;
  const header = Buffer.from(new SevenBitConverter(plan).take(head.subarray(0, headerBytes)));
  const converted = { ...rest, sevenBit: { plan, head, headerBytes } };
  let length = header.length;
  for await (const piece of filePieces(converted)) length += piece.length;
  return { head: header, rest: converted, length };
}
