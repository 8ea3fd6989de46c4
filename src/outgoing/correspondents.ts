// Who outside wrote to us: writing back to them is not bulk. Hashes of pairs of their address and our domain, kept in chunks.
import { addressKey, domainOf, type MailAddress } from "../message/address.ts";
import type { DatabaseReader, DatabaseWriter } from "../store/database.ts";
import { correspondentStatements, loadCorrespondents } from "../store/outgoing-correspondent-rows.ts";
import { hashOf, KnownHashes } from "./known-hashes.ts";

/** At most 8 MB, whoever writes to us. */
const MOST = 1_000_000;
const CHUNK = 4096;
const CHUNKS = Math.ceil(MOST / CHUNK);

export interface Correspondents {
  note(outside: MailAddress, ours: MailAddress): void;
  /** Did they write to anybody of our domain? */
  has(outside: MailAddress, domain: string): boolean;
  /** Keeps what is new. Rejects with StoreError; it is tried again with the next. */
  save(): Promise<void>;
}

/** Loads what is kept. */
export async function createCorrespondents(parts: {
  readonly db: DatabaseWriter;
  readonly reader: DatabaseReader;
}): Promise<Correspondents> {
  const known = new KnownHashes(MOST);
  let chunk = 1;
  let current: number[] = [];
  let changed = false;
  for (const row of await loadCorrespondents(parts.reader)) {
    current = hashesOf(row.hashes);
    chunk = row.chunk;
    for (const hash of current) known.add(hash);
  }
  /** Chunks that are full and not kept yet, oldest first. */
  let full: { readonly chunk: number; readonly hashes: Uint8Array }[] = [];

  return {
    note(outside, ours) {
      const hash = pairHash(outside, domainOf(ours));
      if (known.has(hash)) {
        // Met again: it is among the newest again, in memory. In the database it stays where it is.
        known.add(hash);
        return;
      }
      known.add(hash);
      if (current.length >= CHUNK) {
        full = [...full, { chunk, hashes: octetsOf(current) }].slice(-CHUNKS);
        chunk++;
        current = [];
      }
      current.push(hash);
      changed = true;
    },
    has: (outside, domain) => known.has(pairHash(outside, domain)),
    async save() {
      if (!changed) return;
      changed = false;
      const kept = [...full, { chunk, hashes: octetsOf(current) }];
      try {
        await parts.db.commit(
          kept.flatMap((one) => correspondentStatements(one, { oldest: chunk - CHUNKS })),
        );
        full = full.filter((one) => !kept.includes(one));
      } catch (error) {
        changed = true;
        throw error;
      }
    },
  };
}

function pairHash(outside: MailAddress, domain: string): number {
  return hashOf(`${addressKey(outside)}\n${domain}`);
}

function octetsOf(hashes: readonly number[]): Uint8Array {
  const octets = new Uint8Array(4 * hashes.length);
  const view = new DataView(octets.buffer);
  for (const [index, hash] of hashes.entries()) view.setUint32(4 * index, hash, true);
  return octets;
}

function hashesOf(octets: Uint8Array): number[] {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  return Array.from({ length: Math.floor(octets.byteLength / 4) }, (_, index) =>
    view.getUint32(4 * index, true),
  );
}
