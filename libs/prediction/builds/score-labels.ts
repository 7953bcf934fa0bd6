/** How well two models' scores foretold what really became of the same users. */
import type { ClassFigures, ErrorFigures, LabelFigures } from './build-comparison.ts';
import { midranks } from './ranks.ts';

/** A score of exactly 0 or 1 that is wrong would else cost infinitely much; float32 tells no more apart anyway. */
const LEAST_CHANCE = 1e-7;

export interface LabelledScores {
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
