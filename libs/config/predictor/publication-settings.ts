/** Checks the thresholds of publication against each other, and against the outputs and columns. */
import type { FeatureColumn } from '@tandem/freshness/predictor';
import { type At, type PartialPredictor, pathText } from './check-form.ts';
import { type SettingProblem, writeNearest } from './config-problem.ts';
import type { ParsedOutputs } from './config-schema.ts';

/** Yields the problems of `decision`, `segments` and `publish` that do not depend on the query's columns. */
export function* publicationProblems(predictor: PartialPredictor, at: At): Iterable<SettingProblem> {
  yield* decisionProblems(predictor, at);
  yield* repeatedSegments(predictor, at);
  yield* thresholdProblems(predictor, at);
}

function* decisionProblems({ decision, outputs }: PartialPredictor, at: At): Iterable<SettingProblem> {
  const field = decision?.output;
  if (field === undefined || !outputs) return;
  const path = at('decision', 'output');
  const fitting = Object.keys(outputs).filter((name) => isNumber(outputs[name]));
  const remedy =
    fitting.length > 0 ? `use one of ${fitting.join(', ')}` : 'remove decision: no output is a single number';
  if (!Object.hasOwn(outputs, field)) {
    const problem = `'${field}' is not an output of this predictor`;
    yield { path, problem, remedy: writeNearest(field, fitting) ?? remedy };
  } else if (!isNumber(outputs[field])) {
    yield { path, problem: `'${field}' is not a single number, so it cannot reach a threshold`, remedy };
  }
}

function isNumber(output: ParsedOutputs[string] | undefined): boolean {
  if (output === undefined) return false;
  return typeof output === 'string' ? output !== 'string' : output.type !== 'string' && output.width === undefined;
}

function* repeatedSegments({ segments = [] }: PartialPredictor, at: At): Iterable<SettingProblem> {
  for (const [i, column] of segments.entries()) {
    if (segments.indexOf(column) === i) continue;
    yield { path: at('segments', i), problem: `'${column}' is listed twice`, remedy: 'remove it' };
  }
}

function* thresholdProblems({ publish = {}, decision, outputs }: PartialPredictor, at: At): Iterable<SettingProblem> {
  const { maxPsi, maxFlipRate, maxMeanDelta, minCoverage } = publish;
  if (maxFlipRate !== undefined && decision === undefined) {
    yield {
      path: at('publish', 'maxFlipRate'),
      problem: 'has no effect without `decision`',
      remedy: 'add decision: { output, threshold }, or remove maxFlipRate',
    };
  }
  const isAnyNumber = !outputs || Object.values(outputs).some(isNumber);
  for (const setting of ['maxPsi', 'maxMeanDelta'] as const) {
    if (publish[setting] === undefined || isAnyNumber) continue;
    yield {
      path: at('publish', setting),
      problem: 'has no effect: no output is a single number',
      remedy: `remove ${setting}`,
    };
  }
  const ofOutputs = [maxPsi, maxFlipRate, maxMeanDelta];
  for (const [setting, thresholds, names] of [
    ['minUsers', ofOutputs, 'maxPsi, maxFlipRate or maxMeanDelta'],
    ['onTimeout', [...ofOutputs, minCoverage], 'maxPsi, maxFlipRate, maxMeanDelta or minCoverage'],
  ] as const) {
    if (publish[setting] === undefined || thresholds.some((limit) => limit !== undefined)) continue;
    const problem = 'has no effect without a threshold that it applies to';
    yield { path: at('publish', setting), problem, remedy: `remove ${setting}, or add ${names}` };
  }
}

/** Returns problems for segments that are not features of the query. */
export function segmentProblems(
  name: string,
  segments: readonly string[],
  features: readonly FeatureColumn[],
): SettingProblem[] {
  const names = features.map((feature) => feature.name);
  return segments.flatMap((column, i) => {
    if (names.includes(column)) return [];
    const path = pathText(['predictors', name, 'segments', i]);
    const remedy = writeNearest(column, names) ?? `use one or more of ${names.join(', ')}`;
    return [{ path, problem: `'${column}' is not a feature column of the query`, remedy }];
  });
}
