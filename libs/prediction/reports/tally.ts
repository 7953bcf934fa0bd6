/** Sums over users, of everybody or of one segment: counted as rows come by, read off at the end. */
import { DeltaSketch } from './delta-sketch.ts';
import { classOf, psi } from './distribution.ts';
import type { Coverage, DecisionFlips, OutputShift } from './generation-report.ts';

export class UserTally {
  #both = 0;
  #added = 0;
  #gone = 0;

  add(isBefore: boolean, isNow: boolean): void {
    if (isBefore && isNow) this.#both++;
    else if (isNow) this.#added++;
    else this.#gone++;
  }

  get users(): number {
    return this.#both + this.#added + this.#gone;
  }

  coverage(): Coverage {
    const [both, added, gone] = [this.#both, this.#added, this.#gone];
    return { before: both + gone, now: both + added, both, added, gone };
  }
}

/** Of one output with one number a user. */
export class ShiftTally {
  readonly #ends: Float64Array;
  readonly #before: Side;
  readonly #now: Side;
  readonly #sizes = new DeltaSketch();
  #both = 0;
  #deltas = 0;
  #sizeSum = 0;

  /** @param ends of the classes */
  constructor(ends: Float64Array) {
    this.#ends = ends;
    this.#before = { counts: new Float64Array(ends.length + 1), users: 0, sum: 0 };
    this.#now = { counts: new Float64Array(ends.length + 1), users: 0, sum: 0 };
  }

  addBefore(value: number): void {
    count(this.#before, this.#ends, value);
  }

  addNow(value: number): void {
    count(this.#now, this.#ends, value);
  }

  /** Of a user in both, whose values were added. */
  addDelta(delta: number): void {
    const size = Math.abs(delta);
    this.#both++;
    this.#deltas += delta;
    this.#sizeSum += size;
    this.#sizes.add(size);
  }

  shift(): OutputShift {
    const both = Math.max(1, this.#both);
    return {
      psi: rounded(psi(this.#before.counts, this.#now.counts)),
      meanBefore: rounded(this.#before.sum / Math.max(1, this.#before.users)),
      meanNow: rounded(this.#now.sum / Math.max(1, this.#now.users)),
      meanDelta: rounded(this.#deltas / both),
      meanAbsoluteDelta: rounded(this.#sizeSum / both),
      p50AbsoluteDelta: rounded(this.#sizes.quantile(0.5)),
      p99AbsoluteDelta: rounded(this.#sizes.quantile(0.99)),
      largestDelta: rounded(this.#sizes.largest),
      changed: rounded(this.#sizes.changed / both),
    };
  }
}

interface Side {
  readonly counts: Float64Array;
  users: number;
  sum: number;
}

function count(side: Side, ends: Float64Array, value: number): void {
  const at = classOf(ends, value);
  side.counts[at] = (side.counts[at] as number) + 1;
  side.users++;
  side.sum += value;
}

/** Of the decision. */
export class FlipTally {
  #both = 0;
  #up = 0;
  #down = 0;

  add(was: boolean, is: boolean): void {
    this.#both++;
    if (was === is) return;
    if (is) this.#up++;
    else this.#down++;
  }

  flips(): Pick<DecisionFlips, 'up' | 'down' | 'rate'> {
    const [up, down] = [this.#up, this.#down];
    return { up, down, rate: rounded((up + down) / Math.max(1, this.#both)) };
  }
}

/** Of everybody, or of the users of one segment. */
export interface Sums {
  readonly users: UserTally;
  /** null: no output has one number a user. */
  readonly shift: ShiftTally | null;
  /** null: nothing is decided. */
  readonly flips: FlipTally | null;
}

/** To six digits: what float32 holds. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
