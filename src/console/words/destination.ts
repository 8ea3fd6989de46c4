// Destination keys as people read them. No I/O.

const KINDS: Readonly<Record<string, string>> = {
  routes: "servers of",
  mx: "MX of",
  smarthost: "smart host",
};

/** `routes:example.test` → `servers of example.test`. Unknown kinds are shown as they are. */
export function destinationInWords(key: string): string {
  const colon = key.indexOf(":");
  const kind = KINDS[key.slice(0, colon)];
  return kind === undefined ? key : `${kind} ${key.slice(colon + 1)}`;
}
