/**
 * Compares two generations user by user, in one pass and constant memory: coverage, shift of each output's
 * distribution, deltas, flips of the decision, top movers, and the same by segment. Rows stay bytes: outputs are read
 * in place, and a user's id is decoded only if the user's change is among the largest. It takes 0.5 µs a user for one
 * score.
 */
import type { DecisionPolicy, OutputField } from '@tandem/freshness/predictor';
import { asHeld, isNumber, numberReader, type PlaceOf, placeOf } from '../models/output-fit.ts';
import { type CountedClasses, classEnds, rounded } from './distribution.ts';
import type { Mover, OutputClasses, ReportFigures, Segment, SegmentValue } from './generation-report.ts';
import { FlipTally, ShiftTally, type Sums, UserTally } from './tally.ts';

export interface ComparisonOptions {
  /** The output fields of the currently served generation. */
  readonly before: readonly OutputField[];
  readonly now: readonly OutputField[];
  /** A sample of stored outputs of the current generation, which defines the classes of the distributions. */
  readonly sample: readonly Buffer[];
  /** The classes of the outputs of the first generation, to compare the new generation with as well. */
  readonly first?: readonly OutputClasses[];
  readonly decision: DecisionPolicy | null;
  /** The feature columns of segments, in the order of a row's segment values. */
  readonly segments: readonly string[];
}

/** The offsets of stored outputs, from `start` up to `end`; `start` is negative if the generation lacks the user. */
export interface StoredAt {
  start: number;
  end: number;
}

/** A user's row. The next row overwrites its fields. */
export interface ComparedRow {
  /** The buffer that the offsets below refer to. */
  bytes: Buffer;
  readonly userId: StoredAt;
  readonly before: StoredAt;
  readonly now: StoredAt;
  readonly segments: (string | null)[];
}

/** A comparison of two generations. It takes their users one by one. */
export type Comparison = ReturnType<typeof createComparison>;

/** Creates a comparison without users. */
export function createComparison(options: ComparisonOptions) {
  const { before, now, sample, first = [], decision, segments: columns } = options;
  const firstByName = new Map<string, CountedClasses>(first.map((output) => [output.name, output]));
  const { numeric, answers, notes } = commonOutputs(before, now, sample, firstByName);
  const decided = decision === null ? undefined : numeric.find(({ name }) => name === decision.output);
  // The output that movers and segments are computed from.
  const focus = decided ?? numeric[0];
  const others = numeric.filter((output) => output !== focus);
  const readUser = createUserReader(focus, decided ? decision : null);
  const all: Sums = {
    users: new UserTally(),
    shift: focus?.tally ?? null,
    flips: decided ? new FlipTally() : null,
  };
  const segments = columns.map((column) => createSegment(column, focus?.ends ?? null, decided !== undefined));
  const top = new TopMovers();

  return {
    notes: [
      ...notes,
      ...(decision !== null && !decided ? [`decision: output ${decision.output} is not in both generations`] : []),
    ],
    add(row: ComparedRow): void {
      const user = readUser(row);
      addUser(all, user);
      for (let i = 0; i < segments.length; i++) {
        addUser(sumsOf(segments[i] as SegmentTally, row.segments[i] ?? null), user);
      }
      const [was, is] = [row.before.start, row.now.start];
      for (const output of others) addNumber(output, row.bytes, was, is);
      if (!user.isBefore || !user.isNow) return;
      for (const output of answers) addAnswer(output, row.bytes, was, is);
      if (top.admits(user.now - user.before)) top.add(moverOf(row, user));
    },
    figures: (): ReportFigures => ({
      users: all.users.coverage(),
      outputs: numeric.map(({ name, tally }) => ({ name, ...tally.shift() })),
      answers: answers.map(({ name, both, changed }) => ({ name, changed: rounded(changed / Math.max(1, both)) })),
      decision: all.flips && decision && { ...decision, ...all.flips.flips() },
      segments: segments.map(segmentOf),
    }),
    /** Returns the users with the largest changes, largest first. */
    movers: (): readonly Mover[] => top.movers(),
    /** Returns the classes of the outputs of the currently served generation. */
    classesBefore: (): readonly OutputClasses[] =>
      numeric.map(({ name, tally }) => ({ name, ...tally.classesBefore() })),
  };
}

function addNumber({ before, now, tally }: NumericOutput, bytes: Buffer, beforeAt: number, nowAt: number): void {
  const was = beforeAt < 0 ? 0 : before(bytes, beforeAt);
  const is = nowAt < 0 ? 0 : now(bytes, nowAt);
  tally.add(beforeAt >= 0, was, nowAt >= 0, is);
}

/** The facts of a user that are counted for all users and in each segment. */
interface User {
  isBefore: boolean;
  isNow: boolean;
  before: number;
  now: number;
  wasDecided: boolean;
  isDecided: boolean;
}

/** Returns a function that reads a user from a row. It reuses one object for all rows. */
function createUserReader(
  output: NumericOutput | undefined,
  decision: DecisionPolicy | null,
): (row: ComparedRow) => User {
  const user: User = { isBefore: false, isNow: false, before: 0, now: 0, wasDecided: false, isDecided: false };
  const threshold = decision?.threshold ?? 0;
  const leastBefore = asHeld(output?.typeBefore ?? 'float64', threshold);
  const least = asHeld(output?.typeNow ?? 'float64', threshold);
  return ({ bytes, before, now }) => {
    user.isBefore = before.start >= 0;
    user.isNow = now.start >= 0;
    user.before = output && user.isBefore ? output.before(bytes, before.start) : 0;
    user.now = output && user.isNow ? output.now(bytes, now.start) : 0;
    user.wasDecided = user.before >= leastBefore;
    user.isDecided = user.now >= least;
    return user;
  };
}

function addUser({ users, shift, flips }: Sums, user: User): void {
  const { isBefore, isNow } = user;
  users.add(isBefore, isNow);
  shift?.add(isBefore, user.before, isNow, user.now);
  if (isBefore && isNow) flips?.add(user.wasDecided, user.isDecided);
}

function moverOf({ bytes, userId }: ComparedRow, { before, now }: User): Mover {
  return { userId: bytes.toString('utf8', userId.start, userId.end), before, now, delta: now - before };
}

// The outputs that the two generations share, and their sums over users.

type NumberOf = (bytes: Buffer, start: number) => number;

/** An output with one number a user in both generations. */
type NumericOutput = ReturnType<typeof numericOutput>;

/** A text or a vector: only counted as changed or unchanged. */
interface AnswerOutput {
  readonly name: string;
  readonly before: readonly [PlaceOf, PlaceOf];
  readonly now: readonly [PlaceOf, PlaceOf];
  both: number;
  changed: number;
}

/** The maximum number of compared outputs of each kind. */
const MOST_OUTPUTS = 16;

/**
 * Returns the outputs that two generations share, and the outputs that are not compared.
 * @param before the output fields of the currently served generation
 * @param sample stored outputs of some of its users
 * @param first the classes of outputs of the first generation, by name
 */
function commonOutputs(
  before: readonly OutputField[],
  now: readonly OutputField[],
  sample: readonly Buffer[],
  first: ReadonlyMap<string, CountedClasses>,
) {
  const numeric: NumericOutput[] = [];
  const answers: AnswerOutput[] = [];
  /** Outputs that are not compared, and the reasons. */
  const notes: string[] = [];
  now.forEach((field, i) => {
    const at = before.findIndex(({ name }) => name === field.name);
    const earlier = before[at];
    const isNumeric = isNumber(field) && earlier !== undefined && isNumber(earlier);
    if (!earlier) notes.push(`output ${field.name} is new`);
    else if (!isNumeric && (field.type !== earlier.type || field.width !== earlier.width)) {
      notes.push(`output ${field.name} has another type or width`);
    } else if ((isNumeric ? numeric : answers).length >= MOST_OUTPUTS) {
      notes.push(`output ${field.name} was not compared: a report compares at most ${MOST_OUTPUTS} outputs`);
    } else if (isNumeric) numeric.push(numericOutput([before, at], [now, i], sample, first.get(field.name)));
    else answers.push({ name: field.name, before: placesOf(before, at), now: placesOf(now, i), both: 0, changed: 0 });
  });
  return { numeric, answers, notes };
}

function placesOf(fields: readonly OutputField[], index: number) {
  return [placeOf(fields, index), placeOf(fields, index + 1)] as const;
}

type FieldAt = readonly [fields: readonly OutputField[], index: number];

function numericOutput(before: FieldAt, now: FieldAt, sample: readonly Buffer[], first: CountedClasses | undefined) {
  const [was, is] = [fieldOf(before), fieldOf(now)];
  const readBefore = numberOf(before);
  const ends = classEnds(Float64Array.from(sample, (bytes) => readBefore(bytes, 0)));
  return {
    name: is.name,
    before: readBefore,
    now: numberOf(now),
    typeBefore: was.type,
    typeNow: is.type,
    /** The ends of the classes of its distribution. */
    ends,
    tally: new ShiftTally(ends, first),
  };
}

function fieldOf([fields, index]: FieldAt): OutputField {
  const field = fields[index];
  if (!field) throw new RangeError(`no output ${index}`);
  return field;
}

function numberOf(at: FieldAt): NumberOf {
  const place = placeOf(...at);
  const read = numberReader(fieldOf(at).type);
  return (bytes, start) => read(bytes, place(bytes, start));
}

/** Counts a user that is in both generations. */
function addAnswer(output: AnswerOutput, bytes: Buffer, before: number, now: number): void {
  const [beforeStart, beforeEnd] = [output.before[0](bytes, before), output.before[1](bytes, before)];
  const [nowStart, nowEnd] = [output.now[0](bytes, now), output.now[1](bytes, now)];
  output.both++;
  if (bytes.compare(bytes, beforeStart, beforeEnd, nowStart, nowEnd) !== 0) output.changed++;
}

// Sums over the users of each value of a feature column.

/** The maximum number of values of a column that are counted separately. Further values are counted together. */
const MOST_VALUES = 50;
/** The maximum length of a kept value, in UTF-16 units. */
const VALUE_LENGTH = 120;

type SegmentTally = ReturnType<typeof createSegment>;

/** @param ends the ends of the classes of the compared output; null if there is no such output */
function createSegment(column: string, ends: Float64Array | null, isDecided: boolean) {
  const create = () => ({
    users: new UserTally(),
    shift: ends && new ShiftTally(ends),
    flips: isDecided ? new FlipTally() : null,
  });
  return { column, values: new Map(), others: create(), create };
}

/** Returns the sums of the users with this value. */
function sumsOf(segment: SegmentTally, value: string | null): Sums {
  const known = segment.values.get(value);
  if (known) return known;
  if (segment.values.size >= MOST_VALUES) return segment.others;
  const sums = segment.create();
  segment.values.set(value, sums);
  return sums;
}

function segmentOf({ column, values, others }: SegmentTally): Segment {
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

// Collects the users with the largest changes, the largest first. So few users need no heap.

const MOVERS = 20;

class TopMovers {
  readonly #movers: Mover[] = [];

  /** Returns whether a user with this delta would be among them. Only then the user's id is read. */
  admits(delta: number): boolean {
    const size = Math.abs(delta);
    return size > 0 && (this.#movers.length < MOVERS || size > movedBy(this.#movers.at(-1)));
  }

  add(mover: Mover): void {
    const smaller = this.#movers.findIndex((other) => movedBy(other) < movedBy(mover));
    this.#movers.splice(smaller < 0 ? this.#movers.length : smaller, 0, mover);
    if (this.#movers.length > MOVERS) this.#movers.pop();
  }

  /** Returns the users with the largest changes, largest first, then by user id. */
  movers(): readonly Mover[] {
    return this.#movers
      .toSorted((a, b) => movedBy(b) - movedBy(a) || (a.userId < b.userId ? -1 : 1))
      .map(({ userId, ...values }) => ({
        userId,
        before: rounded(values.before),
        now: rounded(values.now),
        delta: rounded(values.delta),
      }));
  }
}

function movedBy(mover: Mover | undefined): number {
  return Math.abs(mover?.delta ?? 0);
}
