// A message for a server without 8BITMIME: looked through, and converted when it has 8 bits, whatever was declared. A large one is read
// from its file for that, and converted anew wherever it is read from then on: it is never in memory, nor on the disk a second time.
import { isAscii } from "node:buffer";
import { isLarge, type LargeBody, type MessageBody } from "../message/body.ts";
import { bodyStartIn } from "../message/header-block.ts";
import { SevenBitConverter, type SevenBitPlan, SevenBitSurvey } from "../message/seven-bit.ts";
import { filePieces, inTurn } from "../store/body-file.ts";
import { takeTurn } from "../store/take-turn.ts";

/** What was found out about large messages, by file and start: asked again for each server and each try. */
const found = new Map<string, Found>();
const MAX_FOUND = 50;

/** A plan with what comes of it; "none": there is nothing to convert; null: it cannot be converted. */
type Found = { readonly plan: SevenBitPlan; readonly length: number } | "none" | null;

/** The same message in 7 bits, or null when it cannot be converted; itself when its body has no 8-bit octets. Rejects with StoreError. */
export async function toSevenBits(message: MessageBody): Promise<MessageBody | null> {
  if (isLarge(message)) return largeInSevenBits(message);
  if (isAscii(message)) return message;
  const plan = await planOf(inTurn(message));
  return plan === "none" ? message : plan === null ? null : smallInSevenBits(message, plan);
}

async function planOf(pieces: AsyncIterable<Uint8Array>): Promise<SevenBitPlan | "none" | null> {
  const survey = new SevenBitSurvey();
  for await (const piece of pieces) if (!survey.take(piece)) return null;
  return survey.finish();
}

async function smallInSevenBits(message: Uint8Array, plan: SevenBitPlan): Promise<Uint8Array> {
  const converter = new SevenBitConverter(plan);
  const converted: Uint8Array[] = [];
  for await (const piece of inTurn(message)) converted.push(Buffer.from(converter.take(piece)));
  converted.push(converter.finish());
  return Buffer.concat(converted);
}

async function largeInSevenBits(message: LargeBody): Promise<LargeBody | null> {
  const { head, rest } = message;
  const headerBytes = bodyStartIn(Buffer.from(head.buffer, head.byteOffset, head.byteLength));
  if (headerBytes === null) return null;
  const key = `${rest.path} ${rest.from} ${Bun.hash.xxHash64(head)}`;
  const known = found.get(key);
  const result = known === undefined ? await findOut(message, headerBytes) : known;
  found.delete(key);
  found.set(key, result);
  for (const oldest of found.keys()) {
    if (found.size <= MAX_FOUND) break;
    found.delete(oldest);
  }
  if (result === "none") return message;
  if (result === null) return null;
  return {
    head: headerIn(result.plan, head.subarray(0, headerBytes)),
    rest: converted(message, result.plan, headerBytes),
    length: result.length,
  };
}

async function findOut(message: LargeBody, headerBytes: number): Promise<Found> {
  const { head } = message;
  // Looked for first, for that takes next to no time, and most mail has 8 bits near its beginning or nowhere.
  if (await isPlainBody(message, headerBytes)) return "none";
  const plan = await planOf(piecesOf(message));
  if (plan === null || plan === "none") return plan;
  let length = headerIn(plan, head.subarray(0, headerBytes)).length;
  for await (const piece of filePieces(converted(message, plan, headerBytes))) length += piece.length;
  return { plan, length };
}

async function isPlainBody({ head, rest }: LargeBody, headerBytes: number): Promise<boolean> {
  if (!isAscii(head.subarray(headerBytes))) return false;
  for await (const piece of filePieces(rest)) if (!isAscii(piece)) return false;
  return true;
}

async function* piecesOf({ head, rest }: LargeBody): AsyncGenerator<Uint8Array> {
  yield* inTurn(head);
  for await (const piece of filePieces(rest)) {
    await takeTurn();
    yield piece;
  }
}

function headerIn(plan: SevenBitPlan, header: Uint8Array): Uint8Array {
  return Buffer.from(new SevenBitConverter(plan).take(header));
}

function converted({ head, rest }: LargeBody, plan: SevenBitPlan, headerBytes: number): LargeBody["rest"] {
  return { ...rest, sevenBit: { plan, head, headerBytes } };
}
