/**
 * Counts what is served while a rollout is under way: sums a process keeps of each rollout, step, arm and source, from
 * which analyses see errors, latencies and answers of the arms. A read costs three lookups of short texts.
 */
import type { ServedRollout } from '../certificate.ts';
import { type ArmCounts, LATENCY_BOUNDS_MS, latencyClassOf, SCORE_CLASSES, scoreClassOf } from './arm-counts.ts';
import type { ServedSource } from './exposures.ts';

/** One process's sums since it began to count that step. */
export interface ServedSums {
  readonly rolloutId: string;
  readonly step: number;
  readonly arm: string;
  readonly source: ServedSource;
  /** Of these sums: a later state of the same takes the place of an earlier one. */
  readonly processId: string;
  readonly counts: ArmCounts;
}

/** Port: keeps a process's sums in the place of those it told before. Safe to repeat. */
export interface ArmCountStore {
  put(sums: readonly ServedSums[]): Promise<void>;
}

export interface ServedRead {
  readonly arm: string;
  readonly source: ServedSource;
  readonly ms: number;
  /** What the predictor decides by; undefined: it names nothing, or there is no prediction. */
  readonly score: number | undefined;
}

export interface ServedCounter {
  count(rollout: ServedRollout, read: ServedRead): void;
  /** Sums that have changed since they were last told. */
  changed(): readonly ServedSums[];
  /** They are kept: nothing of them need be told again until it changes. */
  told(sums: readonly ServedSums[]): void;
}

/** Rollouts that are remembered; beyond, the oldest goes, which has long been told. */
const MAX_ROLLOUTS = 100;
/** The current step and the one before, of which reads may still be under way. */
const STEPS = 2;

/** @param newId a uuid; each step's sums have one of their own, so that none takes the place of others when it begins anew */
export function createServedCounter(newId: () => string): ServedCounter {
  const rollouts = new Map<string, StepSums[]>();
  /** Of steps that are over, and may not have been told. */
  let past: StepSums[] = [];

  function stepOf({ id, step }: ServedRollout): StepSums {
    const known = rollouts.get(id);
    const found = known?.[0]?.step === step ? known[0] : known?.find((one) => one.step === step);
    if (found) return found;
    const made = new StepSums(id, step, newId());
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
    // Who was put into an arm by hand is served, and says nothing of the arms' users.
    count: (rollout, read) => void (rollout.overridden || stepOf(rollout).cellOf(read).add(read)),
    changed() {
      const all = [...rollouts.values()].flat();
      return [...all, ...past].flatMap((step) => step.changed());
    },
    told(sums) {
      const byId = Map.groupBy(sums, ({ processId }) => processId);
      for (const step of [...[...rollouts.values()].flat(), ...past]) step.told(byId.get(step.processId) ?? []);
      past = past.filter((step) => step.changed().length > 0);
    },
  };
}

class StepSums {
  readonly rolloutId: string;
  readonly step: number;
  readonly processId: string;
  readonly #arms = new Map<string, Map<ServedSource, Cell>>();

  constructor(rolloutId: string, step: number, processId: string) {
    this.rolloutId = rolloutId;
    this.step = step;
    this.processId = processId;
  }

  cellOf({ arm, source }: Pick<ServedRead, 'arm' | 'source'>): Cell {
    const sources = this.#arms.get(arm) ?? new Map<ServedSource, Cell>();
    const known = sources.get(source);
    if (known) return known;
    const cell = new Cell();
    this.#arms.set(arm, sources.set(source, cell));
    return cell;
  }

  changed(): ServedSums[] {
    const { rolloutId, step, processId } = this;
    return [...this.#arms].flatMap(([arm, sources]) =>
      [...sources].flatMap(([source, cell]) =>
        cell.isTold() ? [] : [{ rolloutId, step, arm, source, processId, counts: cell.counts() }],
      ),
    );
  }

  told(sums: readonly ServedSums[]): void {
    for (const one of sums) this.cellOf(one).told(one.counts.reads);
  }
}

class Cell {
  #reads = 0;
  #errors = 0;
  #told = 0;
  readonly #latency = new Float64Array(LATENCY_BOUNDS_MS.length + 1);
  readonly #scores = new Float64Array(SCORE_CLASSES);

  add({ source, ms, score }: ServedRead): void {
    this.#reads++;
    if (source === 'error' || source === 'default') this.#errors++;
    increase(this.#latency, latencyClassOf(ms));
    const place = score === undefined ? undefined : scoreClassOf(score);
    if (place !== undefined) increase(this.#scores, place);
  }

  counts(): ArmCounts {
    return { reads: this.#reads, errors: this.#errors, latency: [...this.#latency], scores: [...this.#scores] };
  }

  isTold(): boolean {
    return this.#told === this.#reads;
  }

  told(reads: number): void {
    this.#told = reads;
  }
}

function increase(classes: Float64Array, index: number): void {
  classes[index] = (classes[index] ?? 0) + 1;
}
