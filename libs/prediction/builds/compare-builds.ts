/** The answers of an optimised build beside its parent's, of the same users. */

import type { DecisionPolicy, OutputField } from '@tandem/freshness/predictor';
import type { AnswerValue } from '../models/verification.ts';
import { wilsonInterval } from '../shadow/wilson.ts';
import type { Agreement, BuildFlips, OutputAgreement } from './build-comparison.ts';
import { rankCorrelation } from './ranks.ts';

/** A side's answers, user by user: all values of its output fields, one after the other. */
export interface AnsweredUsers {
  readonly fields: readonly OutputField[];
  readonly answers: readonly (readonly AnswerValue[])[];
}

/** Fields that both have, alike in width; empty: nothing can be compared. */
export function commonFields(parent: readonly OutputField[], build: readonly OutputField[]): readonly OutputField[] {
  return parent.filter((field) => build.some(({ name, width }) => name === field.name && width === field.width));
}

/** @param parent with at least one user; `build` has the same, in the same order */
export function compareBuilds(
  parent: AnsweredUsers,
  build: AnsweredUsers,
  decision: DecisionPolicy | undefined,
): Agreement {
  const outputs = commonFields(parent.fields, build.fields).map((field) => compareField(field, parent, build));
  return { outputs, decision: decision === undefined ? null : countFlips(decision, parent, build) };
}

/** One number a user; truth values are 0 and 1. Undefined where the field has several values, or texts, or is not there. */
export function numbersOf({ fields, answers }: AnsweredUsers, name: string): readonly number[] | undefined {
  const at = placeOf(fields, name);
  const field = fields.find((one) => one.name === name);
  if (at === undefined || field === undefined || field.width !== null || field.type === 'string') return undefined;
  return answers.map((answer) => Number(answer[at]));
}

/** The field that is judged by labels: the decision's, else the first with one number a user. */
export function judgedField({ fields, answers }: AnsweredUsers, decision: DecisionPolicy | undefined): string | null {
  const names = decision === undefined ? fields.map(({ name }) => name) : [decision.output];
  return names.find((name) => numbersOf({ fields, answers }, name) !== undefined) ?? null;
}

function compareField(field: OutputField, parent: AnsweredUsers, build: AnsweredUsers): OutputAgreement {
  const values = field.width ?? 1;
  const [here, there] = [placeOf(parent.fields, field.name) ?? 0, placeOf(build.fields, field.name) ?? 0];
  let [changed, sum, largest] = [0, 0, 0];
  parent.answers.forEach((answer, user) => {
    const other = build.answers[user] ?? [];
    let isChanged = false;
    for (let i = 0; i < values; i++) {
      const [a, b] = [answer[here + i], other[there + i]];
      isChanged ||= a !== b;
      const difference = Math.abs(Number(a) - Number(b));
      sum += difference;
      largest = Math.max(largest, difference);
    }
    if (isChanged) changed++;
  });
  const users = parent.answers.length;
  const [ours, theirs] = [numbersOf(parent, field.name), numbersOf(build, field.name)];
  const isText = field.type === 'string';
  return {
    name: field.name,
    changed: changed / users,
    meanDifference: isText ? null : sum / (users * values),
    largestDifference: isText ? null : largest,
    rankCorrelation: ours && theirs ? rankCorrelation(ours, theirs) : null,
  };
}

function countFlips(decision: DecisionPolicy, parent: AnsweredUsers, build: AnsweredUsers): BuildFlips | null {
  const [before, now] = [numbersOf(parent, decision.output), numbersOf(build, decision.output)];
  if (!before || !now) return null;
  const reaches = (value: number | undefined) => value !== undefined && value >= decision.threshold;
  const up = now.filter((value, i) => reaches(value) && !reaches(before[i])).length;
  const down = before.filter((value, i) => reaches(value) && !reaches(now[i])).length;
  const { output, threshold } = decision;
  const { low, high } = wilsonInterval(up + down, before.length);
  return { output, threshold, up, down, rate: (up + down) / before.length, low, high };
}

/** Where a field's values begin among those of an answer. */
function placeOf(fields: readonly OutputField[], name: string): number | undefined {
  let at = 0;
  for (const field of fields) {
    if (field.name === name) return at;
    at += field.width ?? 1;
  }
  return undefined;
}
