// The contract of DKIM keys and signing (requirement O5; RFC 6376, RFC 8463). `createDkim` is in `run-dkim.ts`.
import type { MessageBody } from "../message/body.ts";
import type { SignOrder } from "../message/sign-order.ts";

export type DkimAlgorithm = "rsa" | "ed25519";

/** What a look at the DNS says of a key's record. */
export interface DkimPublication {
  /** `failed`: the DNS gave no answer, so nothing is known. */
  readonly state: "unchecked" | "published" | "missing" | "different" | "failed";
  readonly checkedAt: number | null;
  /** What was found and what to do, for people. */
  readonly words: string;
}

/**
 * A key of a domain. `pending`: made, not signed with. `active`: signed with. `retiring`: no longer signed with, but its record must
 * stay until what it signed has arrived everywhere (`retireAt`).
 */
export interface DkimKey {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly state: "pending" | "active" | "retiring";
  readonly createdAt: number;
  readonly activatedAt: number | null;
  /** For `retiring`: when record and key may be removed. */
  readonly retireAt: number | null;
  /** The TXT record to publish: `gate1._domainkey.example.test` and `v=DKIM1; k=rsa; p=…`. */
  readonly record: { readonly name: string; readonly value: string };
  readonly publication: DkimPublication;
}

/** `ok: false` carries words for people: what was tried, what is wrong, what to do. */
export type DkimAnswer =
  | { readonly ok: true; readonly key: DkimKey }
  | { readonly ok: false; readonly words: string };

export interface Dkim {
  list(domain?: string): Promise<readonly DkimKey[]>;
  /** Makes a key (RSA 2048 or Ed25519), state `pending`. Refused when the selector is taken. */
  create(
    order: { readonly domain: string; readonly selector: string; readonly algorithm: DkimAlgorithm },
    by: string,
  ): Promise<DkimAnswer>;
  /** Asks the DNS now and keeps what it said. */
  check(domain: string, selector: string): Promise<DkimAnswer>;
  /** Checks, and signs with it from now on; the former active key of the same algorithm becomes `retiring`. Refused unless published. */
  activate(domain: string, selector: string, by: string): Promise<DkimAnswer>;
  /** Stops signing with it. */
  retire(domain: string, selector: string, by: string): Promise<DkimAnswer>;
  /** Removes a key that is pending or retiring. False: there was none. */
  remove(domain: string, selector: string, by: string): Promise<DkimAnswer>;
  /**
   * The message with a DKIM-Signature field for each key that signs for the order on top; the same array when there is none.
   * Rejects when a key cannot be used: then the message must wait, not leave unsigned.
   */
  sign(message: MessageBody, order: SignOrder): Promise<MessageBody>;
  /** The keys of a domain that is on this gateway no more are gone: nothing is signed with them from now on. */
  forget(domain: string): void;
  /** The domain is switched on again: what is known to be wrong with its keys is told again. */
  remind(domain: string): void;
  close(): Promise<void>;
}
