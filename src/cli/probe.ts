// `gatepost probe HOST`: run it from outside; does the hidden mail server still answer strangers? (requirement I3)
import { probePort } from "../delivery/probe.ts";
import { EXIT, formatTable, type Terminal } from "./terminal.ts";

const PORTS = [25, 465, 587, 2525];

/** Probes the host's mail ports (or the ports given). The exit code is 0 when none answers as a mail server. */
export async function probe(
  options: { readonly host: string; readonly ports: readonly number[]; readonly timeoutMs: number },
  terminal: Terminal,
): Promise<number> {
  const ports = options.ports.length > 0 ? options.ports : PORTS;
  const results = await Promise.all(
    ports.map((port) => probePort({ host: options.host, port, timeoutMs: options.timeoutMs })),
  );
  terminal.out(
    formatTable([["PORT", "STATE", "WORDS"], ...results.map((r) => [String(r.port), r.state, r.words])]),
  );
  const open = results.filter((result) => result.state === "open");
  if (open.length === 0) {
    terminal.out(`\n"${options.host}" does not answer mail connections from here.`);
    return EXIT.ok;
  }
  terminal.out(
    `\n"${options.host}" answers strangers on port ${open.map((r) => r.port).join(", ")}. Let its firewall allow the gateway's addresses alone.`,
  );
  return EXIT.failed;
}
