/**
 * Counts served reads while a rollout is active: each process keeps sums by rollout, step, arm and source. Looks take
 * errors, latencies and answers of the arms from these sums. A read costs a few lookups of short texts.
 */
import type { ServedRollout } from '@tandem/freshness/certificate';
import { createUserShares, type ExposedUsers, keyOf, type ServedSource, type UserShares } from './exposures.ts';

/** The sums of one process since it began to count a step. */
export interface ServedSums extends ArmSourceCounts {
  readonly rolloutId: string;
  readonly step: number;
  /** The id of the process and step. Later sums with this id replace earlier ones. */
  readonly processId: string;
}

/** Port: stores a process's sums in place of its earlier sums. Safe to repeat. */
export interface ArmCountStore {
  put(sums: readonly ServedSums[]): Promise<void>;
}

export interface ServedRead {
  readonly arm: string;
  readonly userId: string;
  readonly source: ServedSource;
  readonly ms: number;
  /** The value of the decision's output; undefined if it is not a number or there is no prediction. */
  readonly score: number | undefined;
}

/**
 * The maximum number of remembered rollouts, which is more than can be active. Above it the oldest is removed; its sums
 * were stored long ago.
 */
const MAX_ROLLOUTS = 1_000;
/** The number of remembered steps: the current step and the previous one, whose reads may not have ended. */
const STEPS = 2;

export type ServedCounter = ReturnType<typeof createServedCounter>;

/**
 * Creates the counter of served reads.
 * @param newId returns a UUID for the sums of each step, so that a restarted process does not replace earlier sums
 */
export function createServedCounter(newId: () => string) {
  const rollouts = new Map<string, StepSums[]>();
  const shares = createUserShares();
  /** Sums of finished steps that may not have been stored. */
  let past: StepSums[] = [];

  function stepOf({ id, step }: ServedRollout): StepSums {
    const known = rollouts.get(id);
    const found = known?.[0]?.step === step ? known[0] : known?.find((one) => one.step === step);
    if (found) return found;
    const made = new StepSums(id, step, newId(), shares);
    rollouts.set(id, [made, ...(known ?? []).slice(0, STEPS - 1)]);
    past.push(...(known ?? []).slice(STEPS - 1));
    forgetOldest();
    return made;
  }

  function forgetOldest(): void {
    const [oldest] = rollouts;
    if (!oldest || rollouts.size <= MAX_ROLLOUTS) return;
    rollouts.delete(oldest[0]);
    past.push(...oldest[1]);
  }

  return {
    // A user with an override is not representative of the arm's users.
    count: (rollout: ServedRollout, read: ServedRead): void =>
      void (rollout.overridden || stepOf(rollout).add(read, isSlow(rollout, read))),
    /** Returns the sums that have changed since they were last stored. */
    changed(): readonly ServedSums[] {
      const all = [...rollouts.values()].flat();
      return [...all, ...past].flatMap((step) => step.changed());
    },
    /** Records that these sums were stored: they are not returned again until they change. */
    told(sums: readonly ServedSums[]): void {
      const byId = Map.groupBy(sums, ({ processId }) => processId);
      for (const step of [...[...rollouts.values()].flat(), ...past]) step.told(byId.get(step.processId) ?? []);
      past = past.filter((step) => step.changed().length > 0);
    },
  };
}

/** Returns whether a read is slow, by the same classes in which latencies are counted. */
function isSlow({ slowMs }: ServedRollout, { ms }: ServedRead): boolean {
  return slowMs !== undefined && latencyClassOf(ms) > latencyClassOf(slowMs);
}

class StepSums {
  readonly rolloutId: string;
  readonly step: number;
  readonly processId: string;
  readonly #arms = new Map<string, ArmSums>();
  readonly #shares: UserShares;

  constructor(rolloutId: string, step: number, processId: string, shares: UserShares) {
    this.rolloutId = rolloutId;
    this.step = step;
    this.processId = processId;
    this.#shares = shares;
  }

  add(read: ServedRead, isSlow: boolean): void {
    const { seed, cellOf } = this.#armOf(read.arm);
    const user = keyOf(read.userId, seed);
    cellOf(read.source).add(read);
    this.#shares.note(user, { source: read.source, isSlow }, (source, share, slowShare) =>
      cellOf(source).weigh(share, slowShare),
    );
    const place = read.score === undefined ? undefined : scoreClassOf(read.score);
    if (place !== undefined && this.#shares.isFirstScore(user)) cellOf(read.source).addScore(place);
  }

  #armOf(arm: string): ArmSums {
    const known = this.#arms.get(arm);
    if (known) return known;
    const cells = new Map<ServedSource, Cell>();
    const cellOf = (source: ServedSource) => {
      const cell = cells.get(source) ?? new Cell();
      cells.set(source, cell);
      return cell;
    };
    // The seed contains the id of the sums: if a step begins again, its users count as new.
    const made = { cells, cellOf, seed: keyOf(arm, keyOf(this.processId, this.step)) };
    this.#arms.set(arm, made);
    return made;
  }

  changed(): ServedSums[] {
    const { rolloutId, step, processId } = this;
    return [...this.#arms].flatMap(([arm, { cells }]) =>
      [...cells].flatMap(([source, cell]) =>
        cell.isTold() ? [] : [{ rolloutId, step, arm, source, processId, counts: cell.counts() }],
      ),
    );
  }

  told(sums: readonly ServedSums[]): void {
    for (const { arm, source, counts } of sums) this.#armOf(arm).cellOf(source).told(counts);
  }
}

interface ArmSums {
  readonly cells: ReadonlyMap<ServedSource, Cell>;
  /** The seed of the keys of the arm's users. */
  readonly seed: number;
  cellOf(source: ServedSource): Cell;
}

class Cell {
  readonly #counts = copyOf(NO_COUNTS);
  #told = NO_COUNTS;

  add({ source, ms }: ServedRead): void {
    this.#counts.reads++;
    if (source === 'error' || source === 'default') this.#counts.errors++;
    increase(this.#counts.latency, latencyClassOf(ms));
  }

  addScore(place: number): void {
    increase(this.#counts.scores, place);
  }

  /** Adds the change of a user's share of this source. */
  weigh(share: number, slowShare: number): void {
    this.#counts.users += share;
    this.#counts.slowUsers += slowShare;
  }

  counts(): ArmCounts {
    return copyOf(this.#counts);
  }

  isTold(): boolean {
    return (['reads', 'users', 'slowUsers'] as const).every((name) => this.#told[name] === this.#counts[name]);
  }

  told(counts: ArmCounts): void {
    this.#told = counts;
  }
}

export function increase(classes: number[], index: number, by = 1): void {
  classes[index] = (classes[index] ?? 0) + by;
}

/** Sums that can be counted up. */
export type Mutable<T> = { -readonly [K in keyof T]: Mutable<T[K]> };

export function copyOf<T>(sums: T): Mutable<T> {
  return structuredClone(sums) as Mutable<T>;
}

export function zeros(length: number): readonly number[] {
  return Object.freeze(Array.from({ length }, () => 0));
}

/**
 * Adds numbers and lists of numbers, for each name of the shape; other fields stay as in the shape. A field that is
 * missing, since an earlier release wrote the sums, counts as 0.
 */
export function addSums<T extends object>(shape: T, one: Partial<T>, other: Partial<T>): T {
  const added = Object.entries(shape).map(([name, nothing]: [string, unknown]) => {
    const [a, b] = [one[name as keyof T] ?? nothing, other[name as keyof T] ?? nothing];
    if (typeof nothing === 'number') return [name, (a as number) + (b as number)];
    if (!Array.isArray(nothing)) return [name, nothing];
    return [name, nothing.map((_, i) => ((a as number[])[i] ?? 0) + ((b as number[])[i] ?? 0))];
  });
  return Object.fromEntries(added) as T;
}

// The counts of one arm and source: each process keeps sums since a step began, and the sums of all processes are added
// up. Reports show the reads. Guardrails use users: each user has the weight 1 in each process, split over the user's
// reads.

/** Upper bounds of the latency classes in ms. One more class lies above the last bound. */
export const LATENCY_BOUNDS_MS = Object.freeze([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const);

/** The number of classes of scores from 0 to 1. Other scores are not counted: they would all be in the last class. */
export const SCORE_CLASSES = 20;

/** Returns the class of a time: that of the first bound in LATENCY_BOUNDS_MS that the time does not exceed. */
export function latencyClassOf(ms: number): number {
  const at = LATENCY_BOUNDS_MS.findIndex((bound) => ms <= bound);
  return at < 0 ? LATENCY_BOUNDS_MS.length : at;
}

/** Returns the class of a score; undefined if the score is not from 0 to 1. */
export function scoreClassOf(score: number): number | undefined {
  if (!(score >= 0 && score <= 1)) return undefined;
  return Math.min(SCORE_CLASSES - 1, Math.floor(score * SCORE_CLASSES));
}

export interface ArmCounts {
  readonly reads: number;
  /** The number of reads without a prediction of the model: errors of the service and defaults. */
  readonly errors: number;
  /** The number of reads in each latency class. */
  readonly latency: readonly number[];
  /** Users by the class of their first score in the step, in the decision's output. */
  readonly scores: readonly number[];
  /** The sum over users of the share of their reads that this arm and source answered. */
  readonly users: number;
  /** The part of `users` for reads slower than the plan's `slowMs`. */
  readonly slowUsers: number;
}

export const NO_COUNTS: ArmCounts = Object.freeze({
  reads: 0,
  errors: 0,
  latency: zeros(LATENCY_BOUNDS_MS.length + 1),
  scores: zeros(SCORE_CLASSES),
  users: 0,
  slowUsers: 0,
});

export function addCounts(one: ArmCounts, other: ArmCounts): ArmCounts {
  return addSums(NO_COUNTS, one, other);
}

export interface ArmSourceCounts {
  readonly arm: string;
  readonly source: ServedSource;
  readonly counts: ArmCounts;
}

/** The reads that one step of a rollout has served so far, in all processes. The counts are a few seconds old. */
export interface StepFigures {
  readonly counts: readonly ArmSourceCounts[];
  /**
   * Users that were first served in this step, by arm and by the source of their first answer. The sample-ratio check
   * uses them.
   */
  readonly exposed: readonly ExposedUsers[];
  /** Users that this step has served from more than one arm. Outcomes exclude them. */
  readonly multipleExposures: number;
  /** First exposures by day in UTC, the latest last. The estimate "needs N more days" uses them. */
  readonly newUsers: readonly { readonly day: string; readonly users: number }[];
}
