// DKIM over a real database in a folder of its own, with a DNS that is a table and a clock that is turned by hand.
import type { Dkim, DkimAlgorithm, DkimAnswer, DkimKey } from "../../src/dkim/dkim.ts";
import { createDkim } from "../../src/dkim/run-dkim.ts";
import type { DnsAnswer } from "../../src/dns/resolver.ts";
import type { Log } from "../../src/observe/log.ts";
import type { Database } from "../../src/store/open-database.ts";
import { type ApplianceKey, loadOrMakeApplianceKey } from "../../src/vault/appliance-key.ts";
import { standingAlarms } from "../observe/standing-alarms.ts";
import { START, TurnedClock } from "../queue/queue-kit.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";

export const DOMAIN = "example.test";
export const BY = "admin@example.test";

/** TXT records by name; `"servfail"` is a server without an answer. */
export type TxtTable = Map<string, readonly string[] | "servfail">;

function tableResolver(table: TxtTable): { txt(name: string): Promise<DnsAnswer<string>> } {
  return {
    async txt(name) {
      const records = table.get(name);
      if (records === undefined)
        return { ok: false, failure: "nxdomain", words: `there is no name "${name}"` };
      if (records === "servfail") return { ok: false, failure: "servfail", words: "no answer in time" };
      return { ok: true, records, authenticated: false };
    },
  };
}

export interface DkimKit extends AsyncDisposable {
  readonly dkim: Dkim;
  readonly database: Database;
  readonly dns: TxtTable;
  readonly clock: TurnedClock;
  /** Raised alarms by name. */
  readonly alarms: ReadonlyMap<string, string>;
  /** Those whose end was told. */
  readonly ended: () => readonly string[];
  /** Changes the settings: which domains are switched on. */
  switchOn(...domains: readonly string[]): void;
  readonly warnings: string[];
  /** Ends it and starts it anew over the same database, as after a restart. */
  restart(options?: { readonly applianceKey?: ApplianceKey }): Promise<Dkim>;
  publish(key: DkimKey): void;
  /** Made, published and active. */
  activeKey(selector: string, algorithm: DkimAlgorithm): Promise<DkimKey>;
}

export async function dkimKit(nowMs = START): Promise<DkimKit> {
  const directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const clock = new TurnedClock(nowMs);
  const dns: TxtTable = new Map();
  let alarms = standingAlarms(() => clock.now());
  let on: readonly string[] | null = null;
  const warnings: string[] = [];
  const log: Log = {
    debug() {},
    info() {},
    warn: (_fields, message) => void warnings.push(message),
    error: (_fields, message) => void warnings.push(message),
  };
  const start = (key: ApplianceKey): Dkim =>
    createDkim({
      db: database,
      reader: database,
      key,
      resolver: tableResolver(dns),
      clock,
      log,
      onAlarm: (...args) => alarms.onAlarm(...args),
      isSet: (domain) => on?.includes(domain) ?? true,
    });
  const ownKey = loadOrMakeApplianceKey(directory.path);
  let dkim = start(ownKey);
  const publish = (key: DkimKey): void => {
    dns.set(key.record.name, [key.record.value]);
  };
  return {
    get dkim() {
      return dkim;
    },
    database,
    dns,
    clock,
    get alarms() {
      return alarms.standing();
    },
    ended: () => alarms.ended,
    switchOn(...domains) {
      const before = on;
      on = domains;
      for (const domain of domains) if (before?.includes(domain) === false) dkim.remind(domain);
      alarms.review();
    },
    warnings,
    publish,
    async restart({ applianceKey = ownKey } = {}) {
      await dkim.close();
      alarms = standingAlarms(() => clock.now());
      dkim = start(applianceKey);
      await dkim.list();
      return dkim;
    },
    async activeKey(selector, algorithm) {
      publish(keyOf(await dkim.create({ domain: DOMAIN, selector, algorithm }, BY)));
      return keyOf(await dkim.activate(DOMAIN, selector, BY));
    },
    async [Symbol.asyncDispose]() {
      await dkim.close();
      await database.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** The key of an answer that must be a good one. */
export function keyOf(answer: DkimAnswer): DkimKey {
  if (answer.ok) return answer.key;
  throw new Error(answer.words);
}

/** The words of an answer that must be a refusal. */
export function wordsOf(answer: DkimAnswer): string {
  if (!answer.ok) return answer.words;
  throw new Error(`it was expected to be refused, and was not: ${JSON.stringify(answer.key)}`);
}
