// The octets of a message that is in memory, for tests that look at them.
import { isLarge, type MessageBody } from "../../src/message/body.ts";

/** Throws for a large message, which a test must read from its file; none is no octets. */
export function small(body: MessageBody | undefined): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (isLarge(body)) throw new Error(`a message of ${body.length} octets is not in memory`);
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

/** For parts that would make a file for a large message, where a test has none. */
export function noLargeBody(): never {
  throw new Error("this test has no large messages");
}
