/** Compares the answers of an optimised build with those of its parent, for the same users. */

import { type Interval, wilsonInterval } from '@tandem/experiment/distributions/wilson';
import { logLoss } from '@tandem/experiment/estimates/log-loss';
import type { DecisionPolicy, OutputField } from '@tandem/freshness/predictor';
import type { AnswerValue } from '../models/verification.ts';

/** The answers of the build or of its parent, user by user: all values of its output fields in order. */
export interface AnsweredUsers {
  readonly fields: readonly OutputField[];
  readonly answers: readonly (readonly AnswerValue[])[];
}

/**
 * Returns the fields that the build and its parent have with the same width; if there are none, nothing can be
 * compared.
 */
export function commonFields(parent: readonly OutputField[], build: readonly OutputField[]): readonly OutputField[] {
  return parent.filter((field) => build.some(({ name, width }) => name === field.name && width === field.width));
}

/**
 * Compares the answers of a build with those of its parent.
 * @param parent the parent's answers, of at least one user; `build` has the same users in the same order
 */
export function compareBuilds(parent: AnsweredUsers, build: AnsweredUsers, decision: DecisionPolicy | undefined) {
  const outputs = commonFields(parent.fields, build.fields).map((field) => compareField(field, parent, build));
  // No decision is compared if the predictor declares none.
  return { outputs, decision: decision === undefined ? null : countFlips(decision, parent, build) };
}

/**
 * Returns one number per user, with booleans as 0 and 1; undefined if the field is absent, or has several values or
 * texts.
 */
export function numbersOf({ fields, answers }: AnsweredUsers, name: string): readonly number[] | undefined {
  const at = placeOf(fields, name);
  const field = fields.find((one) => one.name === name);
  if (at === undefined || field === undefined || field.width !== null || field.type === 'string') return undefined;
  return answers.map((answer) => Number(answer[at]));
}

/** Returns the field that labels judge: the decision's field, else the first field with one number per user. */
export function judgedField({ fields, answers }: AnsweredUsers, decision: DecisionPolicy | undefined): string | null {
  const names = decision === undefined ? fields.map(({ name }) => name) : [decision.output];
  return names.find((name) => numbersOf({ fields, answers }, name) !== undefined) ?? null;
}

function compareField(field: OutputField, parent: AnsweredUsers, build: AnsweredUsers) {
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
    /** The share of users whose answers differ, 0 to 1. */
    changed: changed / users,
    /** The mean absolute difference, for a vector over all its values; null for texts. */
    meanDifference: isText ? null : sum / (users * values),
    largestDifference: isText ? null : largest,
    /** Spearman's rank correlation over users; null for a vector, texts or a constant. */
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
  const interval = wilsonInterval(up + down, before.length);
  return { output, threshold, up, down, rate: (up + down) / before.length, ...interval };
}

/** Returns the index of a field's first value among the values of an answer. */
function placeOf(fields: readonly OutputField[], name: string): number | undefined {
  let at = 0;
  for (const field of fields) {
    if (field.name === name) return at;
    at += field.width ?? 1;
  }
  return undefined;
}

// The result of a comparison of an optimised build with its parent.

/** The users whose decision differs: `up` reach the threshold only with the build, `down` only with its parent. */
interface BuildFlips extends DecisionPolicy, Interval {
  readonly up: number;
  readonly down: number;
  /** Their share of all users, 0 to 1; `low` and `high` are its 95 % interval. */
  readonly rate: number;
}

export type Agreement = ReturnType<typeof compareBuilds>;

/** The observed outcome of a user, as the caller supplied it. */
export interface Label {
  readonly userId: string;
  readonly label: number;
}

// Values by rank only: the order of values matters, not their distance.

/** Returns the rank of each value in rising order, from 1. Equal values get the mean of their ranks. */
export function midranks(values: readonly number[]): readonly number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const ranks = new Array<number>(values.length).fill(0);
  for (let from = 0; from < order.length; ) {
    let end = from + 1;
    while (end < order.length && values[order[end] ?? 0] === values[order[from] ?? 0]) end++;
    for (let at = from; at < end; at++) ranks[order[at] ?? 0] = (from + 1 + end) / 2;
    from = end;
  }
  return ranks;
}

/** Returns Spearman's rank correlation, ties included; null if one of the two lists is constant. */
export function rankCorrelation(first: readonly number[], second: readonly number[]): number | null {
  const [a, b] = [centred(midranks(first)), centred(midranks(second))];
  const product = (x: readonly number[], y: readonly number[]) => x.reduce((sum, n, i) => sum + n * (y[i] ?? 0), 0);
  const spread = Math.sqrt(product(a, a) * product(b, b));
  return spread === 0 ? null : Math.min(1, product(a, b) / spread);
}

function centred(ranks: readonly number[]): readonly number[] {
  const mean = (ranks.length + 1) / 2;
  return ranks.map((rank) => rank - mean);
}

// How well the scores of two models predicted the observed outcomes of the same users.

interface LabelledScores {
  readonly labels: readonly number[];
  /** The scores of both models, one for each label. */
  readonly parent: readonly number[];
  readonly build: readonly number[];
}

/**
 * Judges both models by the same figures: as probabilities if all labels are 0 or 1 and all scores are from 0 to 1,
 * else as numbers.
 */
export function scoreLabels({ labels, parent, build }: LabelledScores) {
  const isChance = (score: number) => score >= 0 && score <= 1;
  if (labels.every((label) => label === 0 || label === 1) && [...parent, ...build].every(isChance)) {
    return { kind: 'classes' as const, parent: classFigures(labels, parent), build: classFigures(labels, build) };
  }
  return { kind: 'errors' as const, parent: errorFigures(labels, parent), build: errorFigures(labels, build) };
}

/** Returns figures for labels 0 and 1 and scores from 0 to 1. */
function classFigures(labels: readonly number[], scores: readonly number[]) {
  const loss = mean(labels, (label, i) => logLoss(scores[i] ?? 0, label === 1));
  return { auc: areaUnderCurve(labels, scores), logLoss: loss };
}

/**
 * Returns the probability that a user with label 1 scores above a user with label 0, with ties counted half. It is
 * computed from the sum of ranks (Mann and Whitney, 1947), and null if all labels are equal.
 */
function areaUnderCurve(labels: readonly number[], scores: readonly number[]): number | null {
  const positives = labels.filter((label) => label === 1).length;
  const negatives = labels.length - positives;
  if (positives === 0 || negatives === 0) return null;
  const sum = midranks(scores).reduce((total, rank, i) => (labels[i] === 1 ? total + rank : total), 0);
  return (sum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Returns figures for any other labels and scores. */
function errorFigures(labels: readonly number[], scores: readonly number[]) {
  const error = (label: number, i: number) => (scores[i] ?? 0) - label;
  return {
    meanAbsoluteError: mean(labels, (label, i) => Math.abs(error(label, i))),
    rootMeanSquaredError: Math.sqrt(mean(labels, (label, i) => error(label, i) ** 2)),
  };
}

function mean(labels: readonly number[], of: (label: number, i: number) => number): number {
  return labels.reduce((sum, label, i) => sum + of(label, i), 0) / labels.length;
}
