// Why a connection could not be made, for people. No I/O.

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "it refuses connections: no mail server listens on that port",
  ETIMEDOUT: "it does not answer: it is off, or a firewall drops the packets",
  EHOSTUNREACH: "there is no way to that address (host unreachable)",
  ENETUNREACH: "there is no way to that network (network unreachable)",
  ECONNRESET: "it broke the connection off at once",
  EACCES: "this machine's firewall forbids the connection",
  EADDRNOTAVAIL: "this machine has no address to connect from",
  EMFILE: "this machine has too many open files",
};

/** The system's error as words, its name kept for those who search for it: `it refuses connections … (ECONNREFUSED)`. */
export function connectTrouble(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const words = WORDS[code];
  return words === undefined ? `no connection: ${error.message}` : `no connection: ${words} (${code})`;
}
