/** The sums of one shadow in one process. */
import { LATENCY_BOUNDS_MS, latencyClassOf, SCORE_CLASSES, scoreClassOf } from '../rollouts/arm-counts.ts';
import type { Comparison } from './compare-answers.ts';
import {
  DELTA_CLASSES,
  deltaClassOf,
  NO_COMPARISONS,
  NO_EFFORT,
  type Segment,
  type ShadowCounts,
  type ShadowOutcome,
} from './shadow-counts.ts';
import { MOST_MOVERS, type ShadowMover, type ShadowRow } from './shadow-report.ts';

/**
 * The maximum number of values of a feature with a separate segment. The users of all other values form one segment.
 */
const MOST_VALUES = 20;
/** The maximum length of a value's text, which is for display and part of a row's key. */
const MOST_CHARACTERS = 64;

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly number[] ? number[] : T[K] };

export class ShadowTally {
  readonly #everybody = emptySums();
  readonly #outcomes: Record<ShadowOutcome, number> = { ...NO_EFFORT.outcomes };
  readonly #joint = zeros(SCORE_CLASSES ** 2);
  readonly #featuresMs = zeros(LATENCY_BOUNDS_MS.length + 1);
  readonly #runMs = zeros(LATENCY_BOUNDS_MS.length + 1);
  readonly #plain = { usersRun: 0, cpuMs: 0, processesEnded: 0, servedAgeSeconds: 0 };
  /** Sums by feature, then by value; null: all other values. */
  readonly #segments = new Map<string, Map<string | null, Mutable<typeof NO_COMPARISONS>>>();
  #movers: ShadowMover[] = [];
  /** The difference that a user must exceed to be among those with the largest changes. */
  #floor = 0;

  count(outcome: ShadowOutcome, by = 1): void {
    this.#outcomes[outcome] += by;
  }

  /**
   * Counts a comparison, for all users and for the segments of its user.
   * @param segments the segments of the user: the value of each declared feature
   */
  compare(
    comparison: Comparison,
    servedAgeSeconds: number,
    segments: readonly { readonly feature: string; readonly value: string }[],
  ): void {
    this.count('compared');
    this.#plain.servedAgeSeconds += servedAgeSeconds;
    add(this.#everybody, comparison);
    for (const segment of segments) add(this.#sumsOf(segment), comparison);
    this.#addJoint(comparison);
  }

  /** Counts the users in a statement that read the candidate's features, by its duration. */
  read(users: number, ms: number): void {
    const at = latencyClassOf(ms);
    this.#featuresMs[at] = (this.#featuresMs[at] ?? 0) + users;
  }

  run(users: number, ms: number, cpuMs: number): void {
    const at = latencyClassOf(ms);
    this.#runMs[at] = (this.#runMs[at] ?? 0) + users;
    this.#plain.usersRun += users;
    this.#plain.cpuMs += cpuMs;
  }

  processEnded(): void {
    this.#plain.processesEnded++;
  }

  /** Remembers a user that may be among those with the largest changes. */
  consider(mover: ShadowMover): void {
    const size = distance(mover);
    if (size === 0 || size <= this.#floor) return;
    this.#movers = [...this.#movers.filter(({ userId }) => userId !== mover.userId), mover];
    if (this.#movers.length >= 2 * MOST_MOVERS) this.#movers = furthest(this.#movers);
  }

  /**
   * Removes and returns the largest changes since the last call. They are not kept in memory, since an erasure only
   * reaches stored ones.
   */
  takeMovers(): readonly ShadowMover[] {
    const taken = furthest(this.#movers);
    this.#movers = [];
    return taken;
  }

  /**
   * Raises the difference that a user must exceed.
   * @param floor the difference that `ShadowStore.keep` returned
   */
  raiseFloor(floor: number): void {
    this.#floor = floor;
  }

  outcomes(): Readonly<Record<ShadowOutcome, number>> {
    return { ...this.#outcomes };
  }

  rows(): readonly ShadowRow[] {
    const rows: ShadowRow[] = [{ segment: null, counts: this.#counts() }];
    for (const [feature, values] of this.#segments) {
      for (const [value, sums] of values) rows.push({ segment: { feature, value }, counts: copyOf(sums) });
    }
    return rows;
  }

  #counts(): ShadowCounts {
    const lists = { joint: [...this.#joint], featuresMs: [...this.#featuresMs], runMs: [...this.#runMs] };
    return { ...copyOf(this.#everybody), effort: { outcomes: { ...this.#outcomes }, ...lists, ...this.#plain } };
  }

  #sumsOf({ feature, value }: NonNullable<Segment>): Mutable<typeof NO_COMPARISONS> {
    const values = this.#segments.get(feature) ?? new Map<string | null, Mutable<typeof NO_COMPARISONS>>();
    this.#segments.set(feature, values);
    const text = value?.slice(0, MOST_CHARACTERS) ?? null;
    const place = values.has(text) || values.size < MOST_VALUES ? text : null;
    const sums = values.get(place) ?? emptySums();
    values.set(place, sums);
    return sums;
  }

  #addJoint({ numbers }: Comparison): void {
    const [served, candidate] = [scoreClassOf(numbers?.served ?? -1), scoreClassOf(numbers?.candidate ?? -1)];
    if (served === undefined || candidate === undefined) return;
    const at = served * SCORE_CLASSES + candidate;
    this.#joint[at] = (this.#joint[at] ?? 0) + 1;
  }
}

function add(sums: Mutable<typeof NO_COMPARISONS>, { isDifferent, numbers, flip, isAbove }: Comparison): void {
  sums.compared++;
  if (isDifferent) sums.different++;
  if (flip) sums[flip]++;
  if (isAbove) sums.above++;
  if (!numbers) return;
  const { delta } = numbers;
  sums.measured++;
  sums.sum += delta;
  sums.sumOfSquares += delta ** 2;
  sums.largest = Math.max(sums.largest, Math.abs(delta));
  const at = deltaClassOf(delta);
  sums.deltas[at] = (sums.deltas[at] ?? 0) + 1;
}

function furthest(movers: readonly ShadowMover[]): ShadowMover[] {
  return [...movers].sort((one, other) => distance(other) - distance(one)).slice(0, MOST_MOVERS);
}

function distance({ served, candidate }: ShadowMover): number {
  return Math.abs(candidate - served);
}

function emptySums(): Mutable<typeof NO_COMPARISONS> {
  return { ...NO_COMPARISONS, deltas: zeros(DELTA_CLASSES) };
}

function copyOf(sums: Mutable<typeof NO_COMPARISONS>): ShadowCounts {
  return { ...sums, deltas: [...sums.deltas] };
}

function zeros(length: number): number[] {
  return Array.from({ length }, () => 0);
}
