/** The outputs that two generations share, and their sums over users. */

import type { OutputField } from '@tandem/freshness/predictor';
import { isNumber, numberReader, type PlaceOf, placeOf } from '../models/output-fit.ts';
import { type CountedClasses, classEnds, rounded } from './distribution.ts';
import { ShiftTally } from './tally.ts';

/** The offsets of stored outputs, from `start` up to `end`; `start` is negative if the generation lacks the user. */
export interface StoredAt {
  start: number;
  end: number;
}

type NumberOf = (bytes: Buffer, start: number) => number;

/** An output with one number a user in both generations. */
export interface NumericOutput {
  readonly name: string;
  readonly before: NumberOf;
  readonly now: NumberOf;
  readonly typeBefore: OutputField['type'];
  readonly typeNow: OutputField['type'];
  /** The ends of the classes of its distribution. */
  readonly ends: Float64Array;
  readonly tally: ShiftTally;
}

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

interface CommonOutputs {
  readonly numeric: readonly NumericOutput[];
  readonly answers: readonly AnswerOutput[];
  /** Outputs that are not compared, and the reasons. */
  readonly notes: readonly string[];
}

/**
 * Returns the outputs that two generations share, and the outputs that are not compared.
 * @param before the output fields of the currently served generation
 * @param sample stored outputs of some of its users
 * @param first the classes of outputs of the first generation, by name
 */
export function commonOutputs(
  before: readonly OutputField[],
  now: readonly OutputField[],
  sample: readonly Buffer[],
  first: ReadonlyMap<string, CountedClasses>,
): CommonOutputs {
  const numeric: NumericOutput[] = [];
  const answers: AnswerOutput[] = [];
  const notes: string[] = [];
  now.forEach((field, i) => {
    const at = before.findIndex(({ name }) => name === field.name);
    const earlier = before[at];
    if (!earlier) notes.push(`output ${field.name} is new`);
    else if (isNumber(field) && isNumber(earlier)) {
      if (numeric.length < MOST_OUTPUTS)
        numeric.push(numericOutput([before, at], [now, i], sample, first.get(field.name)));
      else notes.push(`output ${field.name} was not compared: a report compares at most ${MOST_OUTPUTS} outputs`);
    } else if (field.type !== earlier.type || field.width !== earlier.width) {
      notes.push(`output ${field.name} has another type or width`);
    } else if (answers.length < MOST_OUTPUTS) {
      const places = (fields: readonly OutputField[], index: number) =>
        [placeOf(fields, index), placeOf(fields, index + 1)] as const;
      answers.push({ name: field.name, before: places(before, at), now: places(now, i), both: 0, changed: 0 });
    } else notes.push(`output ${field.name} was not compared: a report compares at most ${MOST_OUTPUTS} outputs`);
  });
  return { numeric, answers, notes };
}

type FieldAt = readonly [fields: readonly OutputField[], index: number];

function numericOutput(
  before: FieldAt,
  now: FieldAt,
  sample: readonly Buffer[],
  first: CountedClasses | undefined,
): NumericOutput {
  const [was, is] = [fieldOf(before), fieldOf(now)];
  const readBefore = numberOf(before);
  const ends = classEnds(Float64Array.from(sample, (bytes) => readBefore(bytes, 0)));
  return {
    name: is.name,
    before: readBefore,
    now: numberOf(now),
    typeBefore: was.type,
    typeNow: is.type,
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
export function addAnswer(output: AnswerOutput, bytes: Buffer, before: number, now: number): void {
  const [beforeStart, beforeEnd] = [output.before[0](bytes, before), output.before[1](bytes, before)];
  const [nowStart, nowEnd] = [output.now[0](bytes, now), output.now[1](bytes, now)];
  output.both++;
  if (bytes.compare(bytes, beforeStart, beforeEnd, nowStart, nowEnd) !== 0) output.changed++;
}

/** Returns the share of users in both generations whose answer changed, 0 to 1. */
export function answerShare({ name, both, changed }: AnswerOutput): { name: string; changed: number } {
  return { name, changed: rounded(changed / Math.max(1, both)) };
}
