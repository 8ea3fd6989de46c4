// What goes wrong around a gateway in a round of `world-rounds.test.ts`: each world is made while mail flows, the gateway is killed in it, and
// then it is mended. What a gateway says when it refuses to start in it is checked here.
import { existsSync, linkSync, readdirSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningGateway } from "../peers/run-gateway.ts";

/** What the servers behind say to everything in a round; null: as the recipient's name tells. */
export interface ServersMood {
  say: { readonly code: number; readonly text: string } | null;
}

export interface Surroundings {
  readonly gateway: RunningGateway;
  readonly servers: ServersMood;
  /** Where copies go; not on the small disk. */
  readonly scratch: string;
  readonly random: () => number;
}

export interface World {
  readonly name: string;
  /** What a start in it says when it refuses; null: it must not refuse. */
  readonly refusal: RegExp | null;
  /** As it was. After the kill and the start in it. */
  mend(): void;
}

type Make = (around: Surroundings) => World | null;

function pick<T>(random: () => number, choices: readonly T[]): T | undefined {
  return choices[Math.floor(random() * choices.length)];
}

/** The server says no to all, for good or for now. */
function refusing({ servers, random }: Surroundings): World {
  servers.say =
    random() < 0.5
      ? { code: 554, text: "5.3.0 this server takes nothing today" }
      : { code: 451, text: "4.3.0 this server takes nothing now" };
  const mend = () => {
    servers.say = null;
  };
  return { name: `the server says ${servers.say.code}`, refusal: null, mend };
}

/** The disk has next to nothing left. */
function fullDisk({ gateway, random }: Surroundings): World {
  const filler = join(gateway.data, "filler");
  const leave = pick(random, [0, 100_000, 1_500_000]) ?? 0;
  const { bavail, bsize } = statfsSync(gateway.data);
  try {
    writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - leave)));
  } catch {
    // The gateway was a little quicker: then it is full all the same.
  }
  return {
    name: "full disk",
    refusal: /space|full/i,
    mend: () => rmSync(filler, { force: true }),
  };
}

/** Takes the files' names away; the octets stay under another, so that they can be put back. */
function unlinked(
  { gateway }: Surroundings,
  {
    names,
    refusal,
    what,
  }: { readonly names: readonly string[]; readonly refusal: RegExp | null; readonly what: string },
): World | null {
  const stash = (name: string) => join(gateway.data, `stash-${name.replaceAll("/", "-")}`);
  const there = names.filter((name) => existsSync(join(gateway.data, name)));
  if (there.length === 0) return null;
  const taken: string[] = [];
  for (const name of there) {
    try {
      linkSync(join(gateway.data, name), stash(name));
    } catch {
      // It was delivered meanwhile.
      continue;
    }
    rmSync(join(gateway.data, name), { force: true });
    taken.push(name);
  }
  if (taken.length === 0) return null;
  const mend = () => {
    for (const name of taken) renameSync(stash(name), join(gateway.data, name));
  };
  return { name: `unlinked ${what}`, refusal, mend };
}

function spoolGone(around: Surroundings): World | null {
  const names = ["spool.db", "spool.db-wal"];
  return unlinked(around, { names, refusal: /spool\.db is missing/, what: "spool.db" });
}

function booksGone(around: Surroundings): World | null {
  const names = ["gatepost.db", "gatepost.db-wal"];
  return unlinked(around, { names, refusal: /gatepost\.db is missing/, what: "gatepost.db" });
}

function someOf(folder: string, names: readonly string[], random: () => number): readonly string[] {
  const one = pick(random, names);
  return one === undefined ? [] : [join(folder, one)];
}

/** A body that waits in the spool. */
function bodyGone(around: Surroundings): World | null {
  const { gateway, random } = around;
  const bodies = readdirSync(join(gateway.data, "spool")).filter((name) => name.endsWith(".eml"));
  return unlinked(around, { names: someOf("spool", bodies, random), refusal: null, what: "body" });
}

/** A body that is kept in the vault. */
function keptGone(around: Surroundings): World | null {
  const { gateway, random } = around;
  const kept = readdirSync(join(gateway.data, "vault"), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".zst"));
  return unlinked(around, { names: someOf("vault", kept, random), refusal: null, what: "vault body" });
}

/** A backup is made while the mail flows; the kill comes in its midst or behind it. */
function backup({ gateway, scratch, random }: Surroundings): World {
  void gateway.command("backup", join(scratch, `copy-${Math.floor(random() * 1e9)}`)).catch(() => {});
  return { name: "backup", refusal: null, mend: () => {} };
}

const MAKERS: readonly Make[] = [
  () => ({ name: "nothing else", refusal: null, mend: () => {} }),
  refusing,
  fullDisk,
  spoolGone,
  booksGone,
  bodyGone,
  keptGone,
  backup,
];

/** The world of a round: each in its turn, one that cannot be made now (nothing waits that could be unlinked) left out. */
export function makeWorld(round: number, around: Surroundings): World {
  for (let n = round; ; n++) {
    const world = MAKERS[n % MAKERS.length]?.(around) ?? null;
    if (world !== null) return world;
  }
}
