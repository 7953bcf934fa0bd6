/** Sums over the users of each value of a feature column. */
import type { Segment, SegmentValue } from './generation-report.ts';
import { FlipTally, ShiftTally, type Sums, UserTally } from './tally.ts';

/** Values of a column that are told apart: those met first; the others are counted together. */
const MOST_VALUES = 50;
/** UTF-16 units of a value that are kept. */
const VALUE_LENGTH = 120;

export interface SegmentTally {
  readonly column: string;
  readonly values: Map<string | null, Sums>;
  readonly others: Sums;
  readonly create: () => Sums;
}

/** @param ends of the classes of the output that is looked at; null: none is */
export function createSegment(column: string, ends: Float64Array | null, isDecided: boolean): SegmentTally {
  const create = () => ({
    users: new UserTally(),
    shift: ends && new ShiftTally(ends),
    flips: isDecided ? new FlipTally() : null,
  });
  return { column, values: new Map(), others: create(), create };
}

/** Where users of that value are counted. */
export function sumsOf(segment: SegmentTally, value: string | null): Sums {
  const known = segment.values.get(value);
  if (known) return known;
  if (segment.values.size >= MOST_VALUES) return segment.others;
  const sums = segment.create();
  segment.values.set(value, sums);
  return sums;
}

export function segmentOf({ column, values, others }: SegmentTally): Segment {
  const all = [...values].map(([value, sums]) => segmentValue(value?.slice(0, VALUE_LENGTH) ?? null, sums));
  return {
    column,
    values: all.sort((a, b) => sizeOf(b) - sizeOf(a) || ((a.value ?? '') < (b.value ?? '') ? -1 : 1)),
    others: others.users.users === 0 ? null : segmentValue(null, others),
  };
}

function sizeOf({ users }: SegmentValue): number {
  return users.before + users.now;
}

function segmentValue(value: string | null, { users, shift, flips }: Sums): SegmentValue {
  return { value, users: users.coverage(), shift: shift?.shift() ?? null, flips: flips?.flips() ?? null };
}
