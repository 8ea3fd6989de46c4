// Message ids as points in time: the message log has no index by time because its ids already sort by it.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARACTERS = 10;

/** The smallest id that `newMessageId` can make at `ms` (milliseconds UTC). */
export function firstIdAt(ms: number): string {
  let id = "";
  let rest = Math.max(0, Math.floor(ms));
  for (let i = 0; i < TIME_CHARACTERS; i++) {
    id = ALPHABET.charAt(rest % 32) + id;
    rest = Math.floor(rest / 32);
  }
  return id;
}
