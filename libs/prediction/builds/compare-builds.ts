/** The answers of an optimised build beside its parent's, of the same users. */
import type { DecisionPolicy, OutputField } from '@tandem/freshness/predictor';
import type { AnswerValue } from '../models/verification.ts';
import { wilsonInterval } from '../shadow/wilson.ts';

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

/** How far one field of the build's predictions is from its parent's. */
interface OutputAgreement {
  readonly name: string;
  /** Share of users with another answer, 0 to 1. */
  readonly changed: number;
  /** Mean of absolute differences; for a vector, over all its values. null: texts. */
  readonly meanDifference: number | null;
  readonly largestDifference: number | null;
  /** Spearman's rank correlation over users; null: a vector, texts, or a constant. */
  readonly rankCorrelation: number | null;
}

/** Users whose decision differs: `up` reach the threshold only with the build, `down` only with its parent. */
interface BuildFlips extends DecisionPolicy {
  readonly up: number;
  readonly down: number;
  /** Share of all users, 0 to 1, with its interval at 95 %. */
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

export interface Agreement {
  readonly outputs: readonly OutputAgreement[];
  /** null: the predictor declares no decision. */
  readonly decision: BuildFlips | null;
}

/** The observed outcome of a user, as supplied by the caller. */
export interface Label {
  readonly userId: string;
  readonly label: number;
}

/** Figures for labels 0 and 1 and scores from 0 to 1. */
interface ClassFigures {
  /** null: all labels are one. */
  readonly auc: number | null;
  readonly logLoss: number;
}

/** Figures for any other labels and scores. */
interface ErrorFigures {
  readonly meanAbsoluteError: number;
  readonly rootMeanSquaredError: number;
}

export type LabelFigures =
  | { readonly kind: 'classes'; readonly parent: ClassFigures; readonly build: ClassFigures }
  | { readonly kind: 'errors'; readonly parent: ErrorFigures; readonly build: ErrorFigures };

// Values by rank only: their order matters, not their distance.

/** Each value's place in rising order, counted from 1; equal values have the mean of their places. */
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

/** Spearman's rank correlation, ties included; null if one side has one value throughout. */
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

// How well two models' scores foretold what really became of the same users.

/** A score of exactly 0 or 1 that is wrong would else cost infinitely much; float32 tells no more apart anyway. */
const LEAST_CHANCE = 1e-7;

interface LabelledScores {
  readonly labels: readonly number[];
  /** Each a score a label. */
  readonly parent: readonly number[];
  readonly build: readonly number[];
}

/** Both sides by the same figures: as chances where all labels are 0 or 1 and all scores lie between, else as numbers. */
export function scoreLabels({ labels, parent, build }: LabelledScores): LabelFigures {
  const isChance = (score: number) => score >= 0 && score <= 1;
  if (labels.every((label) => label === 0 || label === 1) && [...parent, ...build].every(isChance)) {
    return { kind: 'classes', parent: classFigures(labels, parent), build: classFigures(labels, build) };
  }
  return { kind: 'errors', parent: errorFigures(labels, parent), build: errorFigures(labels, build) };
}

function classFigures(labels: readonly number[], scores: readonly number[]): ClassFigures {
  const loss = mean(labels, (label, i) => {
    const chance = Math.min(1 - LEAST_CHANCE, Math.max(LEAST_CHANCE, scores[i] ?? 0));
    return -Math.log(label === 1 ? chance : 1 - chance);
  });
  return { auc: areaUnderCurve(labels, scores), logLoss: loss };
}

/** The chance that one of 1 scores above one of 0, ties halved: by the sum of ranks (Mann and Whitney, 1947). */
function areaUnderCurve(labels: readonly number[], scores: readonly number[]): number | null {
  const positives = labels.filter((label) => label === 1).length;
  const negatives = labels.length - positives;
  if (positives === 0 || negatives === 0) return null;
  const sum = midranks(scores).reduce((total, rank, i) => (labels[i] === 1 ? total + rank : total), 0);
  return (sum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

function errorFigures(labels: readonly number[], scores: readonly number[]): ErrorFigures {
  const error = (label: number, i: number) => (scores[i] ?? 0) - label;
  return {
    meanAbsoluteError: mean(labels, (label, i) => Math.abs(error(label, i))),
    rootMeanSquaredError: Math.sqrt(mean(labels, (label, i) => error(label, i) ** 2)),
  };
}

function mean(labels: readonly number[], of: (label: number, i: number) => number): number {
  return labels.reduce((sum, label, i) => sum + of(label, i), 0) / labels.length;
}
