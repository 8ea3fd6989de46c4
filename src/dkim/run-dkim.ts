// DKIM at work (requirement O5): keys are made, published, activated, retired and removed here, and messages signed with the active ones.
import type { Resolver } from "../dns/resolver.ts";
import { parseDomain } from "../message/address.ts";
import { headOf, withHead } from "../message/body.ts";
import type { AlarmEnd, OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { DatabaseReader, DatabaseWriter } from "../store/database.ts";
import type { DkimKeyRow } from "../store/dkim-rows.ts";
import type { ApplianceKey } from "../vault/appliance-key.ts";
import { createKeyChoice, sealPurpose, unopenedWords } from "./choose-keys.ts";
import type { Dkim, DkimAnswer, DkimKey, DkimPublication } from "./dkim.ts";
import { type DomainKeys, KeyBook } from "./key-book.ts";
import { activation, type KeyDecision, refuseNew, retirement } from "./key-changes.ts";
import { recordName, recordValue } from "./key-record.ts";
import { lookUpRecord } from "./look-up-record.ts";
import { makeKeyPair } from "./make-key.ts";
import { signatureFields } from "./sign-message.ts";
import { watchRecords } from "./watch-records.ts";

export interface DkimParts {
  readonly db: DatabaseWriter;
  /** For the first reading of the keys; may be the same database. */
  readonly reader: DatabaseReader;
  /** Seals the private keys. */
  readonly key: ApplianceKey;
  /** Best one that keeps no answers: people publish a record and look again at once. */
  readonly resolver: Pick<Resolver, "txt">;
  readonly clock: Clock;
  readonly log: Log;
  /** Raises (words) or lifts (null) an alarm. */
  readonly onAlarm: OnAlarm;
  /** Does the domain send mail here, as it is set? Left out: each does. */
  readonly isSet?: (domain: string) => boolean;
}

const SELECTOR = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Starts it: the keys are read at once, their records are looked at once a day. */
export function createDkim(parts: DkimParts): Dkim {
  const { key: applianceKey, resolver, clock, log, onAlarm } = parts;
  const now = (): number => clock.now();
  const book = new KeyBook({ db: parts.db, reader: parts.reader, now });
  const choice = createKeyChoice({ applianceKey, log, now });

  const whileSet = ({ domain }: DkimKeyRow): AlarmEnd => ({ isSet: () => parts.isSet?.(domain) ?? true });

  /** An active key whose record is gone raises an alarm until the record is back or the key signs no more. No answer says nothing. */
  const alarm = (row: DkimKeyRow): void => {
    const name = `dkim ${recordName(row)}` as const;
    if (row.state !== "active") onAlarm(`dkim key ${recordName(row)}`, null);
    if (row.state !== "active" || row.publicationState === "published") onAlarm(name, null);
    else if (row.publicationState !== "failed" && row.publicationState !== "unchecked") {
      onAlarm(
        name,
        `Mail of ${row.domain} is signed with the DKIM key "${row.selector}", which nobody can verify now. ${row.publicationWords}`,
        whileSet(row),
      );
    }
  };

  const look = async (row: DkimKeyRow): Promise<Partial<DkimKeyRow>> => {
    const { state, checkedAt, words } = await lookUpRecord(resolver, row, now());
    return { publicationState: state, publicationCheckedAt: checkedAt, publicationWords: words };
  };

  /** Changes one key, as it is in its turn; `decide` may refuse in words, and then nothing changes but what it says. */
  const changeKey = async (
    domain: string,
    selector: string,
    decide: (row: DkimKeyRow, all: DomainKeys) => KeyDecision,
  ): Promise<DkimAnswer> => {
    const { answer, changes } = await book.change(domain, (rows) => {
      const row = rows.find((one) => one.selector === selector);
      if (row === undefined)
        return { changes: [], answer: { answer: noSuchKey(domain, selector), changes: [] } };
      const decided = decide(row, rows);
      const own = decided.changes.find((change) => change.row.selector === selector)?.row ?? row;
      const answer: DkimAnswer =
        decided.refusal === undefined ? { ok: true, key: shown(own) } : { ok: false, words: decided.refusal };
      return { changes: decided.changes, answer: { answer, changes: decided.changes } };
    });
    for (const { kind, row } of changes) {
      if (kind === "remove") onAlarm(`dkim ${recordName(row)}`, null);
      else alarm(row);
    }
    return answer;
  };

  const check = async (domain: string, selector: string): Promise<DkimAnswer> => {
    const row = await book.find(domain, selector);
    if (row === null) return noSuchKey(domain, selector);
    const publication = await look(row);
    return changeKey(domain, selector, (present) => ({
      changes: [{ kind: "update", row: { ...present, ...publication }, audit: null }],
    }));
  };

  const allKeys = async (): Promise<readonly DkimKeyRow[]> => [...(await book.keys()).values()].flat();

  /** Alarms do not outlive the process; what is known to be wrong is told again at once. */
  const remind = async (domain?: string): Promise<void> => {
    for (const row of domain === undefined ? await allKeys() : await book.of(domain)) {
      if (row.state !== "active") continue;
      alarm(row);
      const opens = applianceKey.open(row.privateKey, sealPurpose(row)) !== null;
      if (!opens) onAlarm(`dkim key ${recordName(row)}`, unopenedWords(row), whileSet(row));
    }
  };
  const unread = (err: unknown) =>
    log.error({ err }, "the DKIM keys cannot be read yet; mail to be signed waits");
  let reminded = remind().catch(unread);
  const stopWatching = watchRecords({ clock, log, keys: allKeys, check });

  return {
    async list(domain) {
      const rows = domain === undefined ? await allKeys() : await book.of(domain);
      return rows.map(shown);
    },

    async create({ domain: name, selector, algorithm }, by) {
      const domain = parseDomain(name);
      if (!domain.ok) return refuse(`No key was made: ${domain.reason}.`);
      if (!SELECTOR.test(selector)) {
        return refuse(
          `"${selector.slice(0, 80)}" cannot be a selector: it takes 1 to 63 of a-z, 0-9 and dashes, with no dash at either end.`,
        );
      }
      const taken = refuseNew(await book.of(domain.value), selector);
      if (taken !== null) return refuse(taken);
      const { publicKey, privateKey } = await makeKeyPair(algorithm);
      const row: DkimKeyRow = {
        domain: domain.value,
        selector,
        algorithm,
        state: "pending",
        publicKey,
        privateKey: applianceKey.seal(privateKey, sealPurpose({ domain: domain.value, selector })),
        createdAt: now(),
        activatedAt: null,
        retireAt: null,
        publicationState: "unchecked",
        publicationCheckedAt: null,
        publicationWords: "The DNS was not asked yet.",
      };
      return book.change(domain.value, (rows) => {
        const words = refuseNew(rows, selector);
        if (words !== null) return { changes: [], answer: refuse(words) };
        const audit = { by, action: "dkim key made", detail: algorithm };
        return { changes: [{ kind: "add", row, audit }], answer: { ok: true, key: shown(row) } };
      });
    },

    check,

    async activate(domain, selector, by) {
      const row = await book.find(domain, selector);
      if (row === null) return noSuchKey(domain, selector);
      const publication = await look(row);
      return changeKey(domain, selector, (present, all) =>
        activation({ present: { ...present, ...publication }, all, at: now(), by }),
      );
    },

    retire: (domain, selector, by) =>
      changeKey(domain, selector, (present) => {
        if (present.state === "pending")
          return { changes: [], refusal: `The key "${selector}" never signed; remove it instead.` };
        if (present.state === "retiring")
          return { changes: [], refusal: `The key "${selector}" no longer signs already.` };
        return { changes: [retirement(present, { at: now(), by, detail: "signs no more" })] };
      }),

    remove: (domain, selector, by) =>
      changeKey(domain, selector, (present) => {
        if (present.state === "active") {
          const refusal = `The key "${selector}" signs the mail of ${domain}; activate another one or retire it first.`;
          return { changes: [], refusal };
        }
        const audit = { by, action: "dkim key removed", detail: `it was ${present.state}` };
        return { changes: [{ kind: "remove", row: present, audit }] };
      }),

    async sign(message, order) {
      const rows = await book.of(order.domain);
      const keys = rows.length === 0 ? [] : choice.choose(rows, order.selector);
      if (keys.length === 0) return message;
      const fields = await signatureFields(message, { domain: order.domain, keys, signedAtMs: now() });
      return withHead(message, Buffer.concat([Buffer.from(fields, "latin1"), headOf(message)]));
    },

    remind(domain) {
      reminded = reminded.then(() => remind(domain).catch(unread));
    },

    forget(domain) {
      for (const row of book.forget(domain)) {
        onAlarm(`dkim ${recordName(row)}`, null);
        onAlarm(`dkim key ${recordName(row)}`, null);
      }
    },

    async close() {
      await stopWatching();
      await reminded;
      await book.settled();
    },
  };
}

function refuse(words: string): DkimAnswer {
  return { ok: false, words };
}

function noSuchKey(domain: string, selector: string): DkimAnswer {
  return refuse(`There is no DKIM key "${selector.slice(0, 80)}" of ${domain.slice(0, 80)}.`);
}

function shown(row: DkimKeyRow): DkimKey {
  const { domain, selector, algorithm, state, createdAt, activatedAt, retireAt } = row;
  const publication: DkimPublication = {
    state: row.publicationState,
    checkedAt: row.publicationCheckedAt,
    words: row.publicationWords,
  };
  const record = { name: recordName(row), value: recordValue(row) };
  return { domain, selector, algorithm, state, createdAt, activatedAt, retireAt, record, publication };
}
