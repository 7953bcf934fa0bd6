/** The sums of one shadow in one process. */
import { copyOf, increase, latencyClassOf, type Mutable, SCORE_CLASSES, scoreClassOf } from '../rules/arm-counts.ts';
import type { Comparison } from './compare-answers.ts';
import {
  type Comparisons,
  deltaClassOf,
  NO_COMPARISONS,
  NO_EFFORT,
  type Segment,
  type ShadowOutcome,
} from './shadow-counts.ts';
import { MOST_MOVERS, type ShadowMover, type ShadowRow } from './shadow-report.ts';

/**
 * The maximum number of values of a feature with a separate segment. The users of all other values form one segment.
 */
const MOST_VALUES = 20;
/** The maximum length of a value's text, which is for display and part of a row's key. */
const MOST_CHARACTERS = 64;

type Sums = Mutable<Comparisons>;

export class ShadowTally {
  readonly #everybody = copyOf(NO_COMPARISONS);
  readonly #effort = copyOf(NO_EFFORT);
  /** Sums by feature, then by value; null: all other values. */
  readonly #segments = new Map<string, Map<string | null, Sums>>();
  #movers: ShadowMover[] = [];
  /** The difference that a user must exceed to be among those with the largest changes. */
  #floor = 0;

  count(outcome: ShadowOutcome, by = 1): void {
    this.#effort.outcomes[outcome] += by;
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
    this.#effort.servedAgeSeconds += servedAgeSeconds;
    add(this.#everybody, comparison);
    for (const segment of segments) add(this.#sumsOf(segment), comparison);
    this.#addJoint(comparison);
  }

  /** Counts the users in a statement that read the candidate's features, by its duration. */
  read(users: number, ms: number): void {
    increase(this.#effort.featuresMs, latencyClassOf(ms), users);
  }

  run(users: number, ms: number, cpuMs: number): void {
    increase(this.#effort.runMs, latencyClassOf(ms), users);
    this.#effort.usersRun += users;
    this.#effort.cpuMs += cpuMs;
  }

  processEnded(): void {
    this.#effort.processesEnded++;
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
    return { ...this.#effort.outcomes };
  }

  rows(): readonly ShadowRow[] {
    const counts = { ...copyOf(this.#everybody), effort: copyOf(this.#effort) };
    const rows: ShadowRow[] = [{ segment: null, counts }];
    for (const [feature, values] of this.#segments) {
      for (const [value, sums] of values) rows.push({ segment: { feature, value }, counts: copyOf(sums) });
    }
    return rows;
  }

  #sumsOf({ feature, value }: NonNullable<Segment>): Sums {
    const values = this.#segments.get(feature) ?? new Map<string | null, Sums>();
    this.#segments.set(feature, values);
    const text = value?.slice(0, MOST_CHARACTERS) ?? null;
    const place = values.has(text) || values.size < MOST_VALUES ? text : null;
    const sums = values.get(place) ?? copyOf(NO_COMPARISONS);
    values.set(place, sums);
    return sums;
  }

  #addJoint({ numbers }: Comparison): void {
    const [served, candidate] = [scoreClassOf(numbers?.served ?? -1), scoreClassOf(numbers?.candidate ?? -1)];
    if (served === undefined || candidate === undefined) return;
    increase(this.#effort.joint, served * SCORE_CLASSES + candidate);
  }
}

function add(sums: Sums, { isDifferent, numbers, flip, isAbove }: Comparison): void {
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
  increase(sums.deltas, deltaClassOf(delta));
}

function furthest(movers: readonly ShadowMover[]): ShadowMover[] {
  return [...movers].sort((one, other) => distance(other) - distance(one)).slice(0, MOST_MOVERS);
}

function distance({ served, candidate }: ShadowMover): number {
  return Math.abs(candidate - served);
}
