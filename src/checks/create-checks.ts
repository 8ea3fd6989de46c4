// Puts the checks together for the composition root. The scan pool is made once; the checker is made anew when the hooks' settings change.
import { mailauthResolver } from "../dns/mailauth-resolver.ts";
import type { Resolver } from "../dns/resolver.ts";
import { createClamdCheck, createUnreadClamdCheck } from "../hooks/clamd.ts";
import type { ClamdHook } from "../hooks/clamd-dialogue.ts";
import type { FailedScans } from "../hooks/failed-scans.ts";
import { type Clock, systemClock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Finding } from "../rules/fact.ts";
import type { Check, Checker } from "./check.ts";
import { createDomainAge, type DomainAgeSettings } from "./domain-age.ts";
import { createChecker } from "./run-checks.ts";
import { createContentChecks, createMailAuthentication, createMessageScan } from "./scan-checks.ts";
import { createScanPool, type ScanPool } from "./scan-pool.ts";

export interface GatewayChecksOptions {
  readonly resolver: Resolver;
  /** Our own name, for SPF macros. */
  readonly hostname: string;
  readonly log: Log;
  readonly hooks: readonly ClamdHook[];
  /** Names of scanners whose setting cannot be read; left out: there are none. */
  readonly unreadHooks?: readonly string[];
  /** Told how the daemons' scans go, for the watch over them. */
  readonly scans?: FailedScans;
  /** Where the age of domains is found out; left out: nowhere, so it is unknown. */
  readonly domainAge?: DomainAgeSettings;
  readonly clock?: Clock;
  /** How many workers scan. Default 2. */
  readonly workers?: number;
  /** Told of each failed check, for metrics. */
  readonly onFailure?: (check: string, reason: string) => void;
}

export interface GatewayChecks extends Checker {
  /** Uses other hooks from the next message on. `unread`: those whose setting cannot be read. */
  useHooks(hooks: readonly ClamdHook[], unread?: readonly string[]): void;
  /** Finds the age of domains out elsewhere from the next message on. */
  useDomainAge(settings: DomainAgeSettings): void;
  /** Cleaned HTML, text and parts of a message for the viewer. */
  readonly view: ScanPool["view"];
}

/** All checks, ready to run; the scan workers start with the first message that needs them. */
export function createChecks(options: GatewayChecksOptions): GatewayChecks {
  const { log, onFailure } = options;
  const workers = options.workers === undefined ? {} : { workers: options.workers };
  const pool = createScanPool({ resolve: mailauthResolver(options.resolver), log, ...workers });
  const scan = createMessageScan({ pool, hostname: options.hostname });
  const domainAge = createDomainAge({
    settings: options.domainAge ?? { feed: "", rdap: null },
    clock: options.clock ?? systemClock,
    log,
  });
  const builtIn = [...createContentChecks(scan), ...createMailAuthentication(scan), domainAge.check];
  let checker = checkerWith(options.hooks, options.unreadHooks);

  function checkerWith(hooks: readonly ClamdHook[], unread: readonly string[] = []): Checker {
    const checks = [
      ...builtIn,
      ...clamdChecks([
        ...hooks.map((hook) => createClamdCheck(hook, options.scans)),
        ...unread.map(createUnreadClamdCheck),
      ]),
    ];
    return createChecker({ checks, log, ...(onFailure === undefined ? {} : { onFailure }) });
  }

  return {
    run: (input, wanted) => checker.run(input, withWholeAuthentication(wanted)),
    useHooks(hooks, unread) {
      checker = checkerWith(hooks, unread);
    },
    useDomainAge: (settings) => domainAge.use(settings),
    view: (raw) => pool.view(raw),
    close: () => pool.close(),
  };
}

const AUTHENTICATION = ["spf.result", "dkim.result", "dmarc.result", "arc.result"];
const widened = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>();

/**
 * DMARC needs SPF and DKIM, and `Authentication-Results` and the log should say all that was found out: who wants one
 * result gets them all, at the price of one pass. The policy hands out the same sets again and again, so each is widened once.
 */
function withWholeAuthentication(wanted: ReadonlySet<string>): ReadonlySet<string> {
  const known = widened.get(wanted);
  if (known !== undefined) return known;
  const any = [...wanted].some((fact) => /^(?:spf|dkim|dmarc|arc)\./.test(fact));
  const all = any ? new Set([...wanted, ...AUTHENTICATION]) : wanted;
  widened.set(wanted, all);
  return all;
}

/** Several daemons are one check, so that the "nothing found" of one never hides what another found. */
function clamdChecks(checks: readonly Check[]): readonly Check[] {
  const [first] = checks;
  if (first === undefined || checks.length === 1) return checks;
  return [
    {
      name: first.name,
      facts: first.facts,
      timeoutMs: Math.max(...checks.map((check) => check.timeoutMs)),
      async run(input) {
        const results = await Promise.allSettled(checks.map((check) => check.run(input)));
        const answers: (readonly Finding[])[] = [];
        for (const result of results) if (result.status === "fulfilled") answers.push(result.value);
        const found = answers.find((findings) =>
          findings.some(({ fact, value }) => fact === "clamd.found" && value === true),
        );
        const failed = results.find((result) => result.status === "rejected");
        if (found === undefined && failed !== undefined) throw failed.reason;
        return found ?? answers[0] ?? [];
      },
    },
  ];
}
