// Decides what is dialled when: one lane per destination, each with its own places, back-off and timer.
// It takes work from disk or straight from accept, runs attempts, and hands the results to `settle`. It settles nothing itself.
import { descriptorLimit } from "../config/descriptors.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { Destination } from "../delivery/route.ts";
import type { Statement } from "../store/database.ts";
import { plausibleTime } from "./back-off.ts";
import { createBodyBudget } from "./body-budget.ts";
import { claimDue } from "./claim-due.ts";
import { type ClaimKind, hasRoomFor, lookForLarge, wantsClaim, wantsTurnAt } from "./claim-limits.ts";
import type { DispatcherOptions } from "./dispatcher-options.ts";
import { judgeLane, openLane } from "./judge-lane.ts";
import {
  beginAttempt,
  countedOf,
  type DispatcherState,
  endTalk,
  freePlace,
  isIdle,
  type Lane,
  newLane,
  nextReady,
  promise,
  pushReady,
  takeAllReady,
  takeReady,
  unpromise,
} from "./lane.ts";
import { createLifeSigns, type LifeSigns } from "./life-signs.ts";
import { createOvertaken, type Overtaken } from "./overtaken.ts";
import { maySendMore, type Probe, takeProbePlace } from "./probe-place.ts";
import { type AttemptRun, runAttempt } from "./run-attempt.ts";
import { type Counted, endTurn, howMany } from "./share-use.ts";
import type { Work } from "./work.ts";

// All attempts together; lanes get fewer places as it fills, so that slow destinations cannot take every one.
const MAX_ATTEMPTS = Math.min(1000, Math.floor(descriptorLimit() / 10));
// Beyond it every lane may still have one.
const MOST_ATTEMPTS = 2 * MAX_ATTEMPTS;
/** An attempt that goes well ends the alarm; where none is made any more, this does. */
const FAULT_FOR_MS = 3_600_000;
const NO_PLACES_WAIT_MS = 1000;

/** Sends mail on its way. Begins nothing before `start`. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Everything marked "active" by this process that waits for a place or is being dialled. */
  readonly #works = new Set<Work>();
  readonly #budget = createBodyBudget();
  /** The watch over our own servers that do not answer. */
  readonly lifeSigns: LifeSigns;
  readonly #overtaken: Overtaken;
  /** Lanes that could go on but for a global limit, the longest waiting first. */
  readonly #starved = new Set<Lane>();
  #active = 0;
  #running = false;
  #faulty = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#overtaken = createOvertaken({
      ...options,
      onDue: (key) => this.noteDue(key, options.clock.now()),
    });
    this.lifeSigns = createLifeSigns({
      ...options,
      hurry: this.#overtaken.hurry,
      onAlive: (key) => this.#answersAgain(key),
      onDead: (key, kind, outcome) => this.#isDead(key, kind, outcome),
    });
  }

  start(state: DispatcherState): void {
    this.#running = true;
    for (const { key, nextAttemptAt } of state.waiting) {
      this.#lane(key).nextDueAt = nextAttemptAt;
      this.#overtaken.putOff(key);
    }
    for (const { key, failures, nextProbeAt, outcome } of state.unreachable) {
      const lane = this.#lane(key);
      lane.failures = failures;
      lane.closedUntil = nextProbeAt;
      lane.lastFailure = outcome;
      this.lifeSigns.failed(key, "routes");
    }
    this.wakeAll();
  }

  /** Begins nothing more; what was taken but not dialled goes back to disk. */
  stop(): void {
    this.#running = false;
    this.lifeSigns.stop();
    this.#overtaken.stop();
    for (const lane of this.#lanes.values()) {
      lane.cancelTimer?.();
      lane.cancelTimer = null;
      this.#emptyReady(lane);
    }
  }

  /** A promise that mail for this destination will be taken at once: it may be stored as "active". */
  reserve(key: string, counted: Counted): boolean {
    if (!this.#running || !this.#options.mayBegin()) return false;
    const lane = this.#lane(key);
    if (lane.failures > 0 || lane.closedUntil > this.#options.clock.now()) return false;
    if (!hasRoomFor(lane, counted, this.#options.deliverer.capacity(key))) return false;
    if (!this.#budget.take(lane, counted.size, counted.share)) return false;
    promise(lane, counted);
    return true;
  }

  /** Takes a promise back, because the message was not stored. */
  release(key: string, counted: Counted): void {
    const lane = this.#lane(key);
    unpromise(lane, counted);
    this.#budget.give(lane, counted.size, counted.share);
    this.#pump(lane);
  }

  /** Work whose place was reserved and whose commit is through. */
  enter(work: Work): void {
    const lane = this.#lane(work.destination.key);
    unpromise(lane, countedOf(work));
    work.paid = true;
    pushReady(lane, work);
    this.#works.add(work);
    // The destination may have been closed, or the queue stopped, while the commit was under way.
    if (!this.#running || lane.failures > 0) this.#emptyReady(lane);
    else this.#pump(lane);
  }

  /** Mail for this destination stands on disk, due at that time. */
  noteDue(key: string, at: number): void {
    const lane = this.#lane(key);
    if (at < lane.nextDueAt) lane.nextDueAt = at;
    this.#pump(lane);
  }

  /** Forgets the back-off of one destination, or (null) of all; returns what forgets it on disk. */
  resume(key: string | null): readonly Statement[] {
    const lanes = key === null ? [...this.#lanes.values()] : [this.#lane(key)];
    return lanes.flatMap((lane) => openLane(lane, this.#options.clock.now()));
  }

  #answersAgain(key: string): void {
    const lane = this.#lane(key);
    lane.closedUntil = 0;
    this.noteDue(key, this.#options.clock.now());
  }

  #isDead(key: string, kind: Destination["kind"], outcome: Outcome): void {
    const lane = this.#lane(key);
    if (lane.failures > 0) return;
    const at = this.#options.clock.now();
    const seen = { reach: "unreachable", startedAt: at, endedAt: at, outcome, messageId: "", kind } as const;
    const { statements } = judgeLane(lane, seen, this.#judging());
    this.#emptyReady(lane);
    this.#options.spool.commit(statements).catch((error: unknown) => {
      this.#options.log.warn({ err: error, destination: key }, "back-off not remembered");
    });
    this.lifeSigns.failed(key, kind);
    this.#pump(lane);
  }

  #judging(): { readonly retryMs: readonly number[]; readonly random: () => number } {
    return { retryMs: this.#options.settings().retryMs, random: this.#options.random };
  }

  works(): IterableIterator<Work> {
    return this.#works.values();
  }

  /** When the destination is tried again if it backs off as a whole, else 0; with the failure that closed it. */
  backOff(key: string): { readonly closedUntil: number; readonly lastFailure: Outcome | null } {
    const lane = this.#lanes.get(key);
    return { closedUntil: lane?.closedUntil ?? 0, lastFailure: lane?.lastFailure ?? null };
  }

  /** Looks at every lane again. */
  wakeAll(): void {
    for (const lane of [...this.#lanes.values()]) this.#pump(lane);
  }

  /** True while mail is being taken from disk that no attempt and no settlement speaks of yet. */
  isClaiming(): boolean {
    return this.#lanes.values().some((lane) => lane.claiming);
  }

  figures(): { readonly active: number; readonly lanes: number; readonly bodyBytes: number } {
    return { active: this.#active, lanes: this.#lanes.size, bodyBytes: this.#budget.held() };
  }

  #lane(key: string): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = newLane(key);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** Starts what can be started, fetches what is due, sets the timer for the rest. */
  #pump(lane: Lane): void {
    lane.cancelTimer?.();
    lane.cancelTimer = null;
    if (!this.#running || !this.#options.mayBegin()) return;
    const now = this.#options.clock.now();
    const { retryMs } = this.#options.settings();
    lane.closedUntil = plausibleTime(lane.closedUntil, now, retryMs);
    lane.nextDueAt = plausibleTime(lane.nextDueAt, now, retryMs);
    const places = this.#places(lane, now);
    this.#beginReady(lane, places);
    lookForLarge(lane, places, now);
    const kind = wantsClaim(lane, { places, isFree: this.#isFree(lane, places) }, now);
    if (kind !== null) void this.#claim(lane, places, kind);
    this.#setTimer(lane, places, now);
  }

  /** Begins what may. Whose body finds no room keeps nobody else's waiting. */
  #beginReady(lane: Lane, places: number): void {
    let refused = 0;
    while (this.#isFree(lane, places)) {
      const at = nextReady(lane, places);
      const work = lane.ready[at];
      if (work === undefined) return;
      if (this.#begin(lane, at)) continue;
      if (++refused >= howMany(lane.uses)) return;
      endTurn(lane.uses, work.share);
    }
  }

  #places(lane: Lane, now: number): number {
    if (now < lane.closedUntil) return 0;
    const share = Math.max(1, Math.ceil((MAX_ATTEMPTS - this.#active) / 8));
    return Math.min(this.#options.deliverer.capacity(lane.key), share);
  }

  /** A destination that could not be reached gets one attempt until a server greets. Older ones may hang for long: they do not count. */
  #isFree(lane: Lane, places: number): boolean {
    return lane.active < places && (lane.failures === 0 || maySendMore(lane.probes));
  }

  /** Attempts and claims look at their lane when they end, which may be long; the timer is for what only time brings. */
  #setTimer(lane: Lane, places: number, now: number): void {
    if (lane.claiming) return;
    const nextAt = Math.max(wantsTurnAt(lane, places, now), lane.closedUntil);
    if (nextAt > now && nextAt < Number.POSITIVE_INFINITY) this.#wakeAt(lane, nextAt - now);
    else if (lane.active > 0) return;
    else if (nextAt <= now) this.#wakeAt(lane, NO_PLACES_WAIT_MS);
    else if (lane.closedUntil > now) this.#wakeAt(lane, lane.closedUntil - now);
    else this.#letGo(lane);
  }

  #wakeAt(lane: Lane, waitMs: number): void {
    lane.cancelTimer = this.#options.clock.after(waitMs, () => {
      lane.cancelTimer = null;
      this.#pump(lane);
    });
  }

  /** Nothing waits for the destination: what is known of it is forgotten. */
  #letGo(lane: Lane): void {
    const forget = openLane(lane, this.#options.clock.now());
    this.lifeSigns.forget(lane.key);
    this.#overtaken.forget(lane.key);
    if (isIdle(lane)) this.#lanes.delete(lane.key);
    if (forget.length === 0) return;
    this.#options.spool.commit(forget).catch((error: unknown) => {
      // It only means one probe more after the next start.
      this.#options.log.warn({ err: error, destination: lane.key }, "back-off not forgotten");
    });
  }

  /** Starts the ready work at that index; false when there is none, or a global limit forbids it for now. */
  #begin(lane: Lane, at: number): boolean {
    const work = lane.ready[at];
    if (work === undefined) return false;
    if (work.intent.kind !== "deliver") {
      takeReady(lane, at);
      this.#forget(lane, work);
      this.#options.withdraw(work);
      return true;
    }
    if (this.#active >= MOST_ATTEMPTS || !this.#budget.pay(lane, work)) {
      this.#starved.add(lane);
      return false;
    }
    takeReady(lane, at);
    beginAttempt(lane, work);
    this.#active++;
    const { clock } = this.#options;
    const probe = takeProbePlace(lane, { share: work.share, clock, onFree: () => this.#pump(lane) });
    void this.#attempt(lane, work, probe);
    return true;
  }

  async #attempt(lane: Lane, work: Work, probe: Probe): Promise<void> {
    const run = await runAttempt(work, { ...this.#options, onReached: probe.reached });
    endTalk(lane, work);
    this.#noteFault(work, run);
    // A fault of ours says nothing about the destination.
    const judgement = run.fault === null ? this.#judge(lane, work, run) : { closed: false, statements: [] };
    this.#forget(lane, work);
    const { closedUntil } = lane;
    const written = () => this.#freePlace(lane, work, probe);
    this.#options.settle({ ...run, work, closedUntil, statements: judgement.statements, written });
    if (judgement.closed) this.#emptyReady(lane);
    this.#feedStarved();
  }

  #judge(lane: Lane, work: Work, run: AttemptRun): ReturnType<typeof judgeLane> {
    const { kind } = work.destination;
    const seen = { ...run, outcome: run.outcomes[0], messageId: work.message.id, kind };
    const judgement = judgeLane(lane, seen, this.#judging());
    this.lifeSigns.ended(lane.key, { ...seen, closed: judgement.closed });
    this.#overtaken.ended(lane.key, seen);
    return judgement;
  }

  /**
   * An attempt keeps its place until its result is on disk, or refused by the data there. A process that dies therefore leaves
   * at most one attempt per place (per connection a destination may have) of which the next cannot know whether it delivered.
   */
  #freePlace(lane: Lane, work: Work, probe: Probe): void {
    probe.end();
    freePlace(lane, work);
    this.#active--;
    // Who waited for room comes before this lane's next.
    this.#feedStarved();
    this.#pump(lane);
  }

  #noteFault(work: Work, { fault, bodyLost, unsigned }: AttemptRun): void {
    const { lostBodies } = this.#options;
    if (bodyLost) lostBodies.found(work.message.id, fault ?? "");
    else lostBodies.readable(work.message.id);
    if (bodyLost || unsigned || (fault === null && !this.#faulty)) return;
    this.#faulty = fault !== null;
    const words =
      fault === null
        ? null
        : `Message ${work.message.id} could not be handed to delivery and waits: ${fault}`;
    this.#options.onAlarm("delivery", words, { forMs: FAULT_FOR_MS });
  }

  /** Ready work goes back to disk: nothing can be dialled now, and what waits must not take up memory. */
  #emptyReady(lane: Lane): void {
    const works = takeAllReady(lane);
    for (const work of works) {
      this.#forget(lane, work);
      if (work.intent.kind !== "deliver") this.#options.withdraw(work);
    }
    const back = works.filter((work) => work.intent.kind === "deliver");
    if (back.length > 0) this.#options.handBack(back);
  }

  #forget(lane: Lane, work: Work): void {
    this.#works.delete(work);
    this.#budget.refund(lane, work);
  }

  #feedStarved(): void {
    for (const lane of [...this.#starved]) {
      if (this.#active >= MOST_ATTEMPTS) return;
      this.#starved.delete(lane);
      this.#pump(lane);
    }
  }

  async #claim(lane: Lane, places: number, kind: ClaimKind): Promise<void> {
    const { clock, deliverer } = this.#options;
    lane.claiming = true;
    const room = { places, kind, capacity: deliverer.capacity(lane.key) };
    const { works, moved } = await claimDue(lane, room, this.#options);
    for (const work of works) {
      pushReady(lane, work);
      this.#works.add(work);
    }
    for (const key of moved) this.noteDue(key, clock.now());
    // The queue may have been stopped, or the destination closed, while it was read.
    if (!this.#running || (lane.failures > 0 && lane.closedUntil > clock.now())) this.#emptyReady(lane);
    lane.claiming = false;
    this.#pump(lane);
  }
}
