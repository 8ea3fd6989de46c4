// `gatepost probe HOST`: run it from outside; does the hidden mail server still answer strangers? (requirement I3)
import { lookup } from "node:dns/promises";
import { type ProbeResult, probePort } from "../delivery/probe.ts";
import { CommandError, EXIT, formatTable, type Terminal, wordsOf } from "./terminal.ts";

const PORTS = [25, 465, 587, 2525];

/** A name that is not known says nothing about a server: whoever mistyped it must not take the firewall for closed. */
async function checkName(host: string): Promise<void> {
  try {
    await lookup(host);
  } catch (error) {
    throw new CommandError(
      EXIT.unavailable,
      `"${host}" has no address: ${wordsOf(error)}. Nothing was probed.`,
    );
  }
}

/** Probes the host's mail ports (or the ports given). The exit code is 0 only when no port takes a connection. */
export async function probe(
  options: { readonly host: string; readonly ports: readonly number[]; readonly timeoutMs: number },
  terminal: Terminal,
): Promise<number> {
  await checkName(options.host);
  const ports = options.ports.length > 0 ? options.ports : PORTS;
  const results = await Promise.all(
    ports.map((port) => probePort({ host: options.host, port, timeoutMs: options.timeoutMs })),
  );
  terminal.out(
    formatTable([["PORT", "STATE", "WORDS"], ...results.map((r) => [String(r.port), r.state, r.words])]),
  );
  const portsThatAre = (state: ProbeResult["state"]): string =>
    results
      .filter((result) => result.state === state)
      .map(({ port }) => port)
      .join(", ");
  const open = portsThatAre("open");
  const taken = portsThatAre("silent");
  if (open !== "") {
    terminal.out(
      `\n"${options.host}" answers strangers on port ${open}. Let its firewall allow the gateway's addresses alone.`,
    );
    return EXIT.failed;
  }
  if (taken !== "") {
    terminal.out(
      `\n"${options.host}" takes connections of strangers on port ${taken} and gave no greeting: its firewall is open there, and whether a mail server answers is not known. Probe again with a longer --timeout.`,
    );
    return EXIT.failed;
  }
  const unasked = portsThatAre("not asked");
  if (unasked !== "") {
    terminal.out(
      `\nPort ${unasked} of "${options.host}" could not be asked from here: nothing is known of it.`,
    );
    return EXIT.unavailable;
  }
  terminal.out(`\n"${options.host}" does not answer mail connections from here.`);
  return EXIT.ok;
}
