/** Checks the thresholds of publication against each other, and against the outputs and columns. */
import type { FeatureColumn } from '@tandem/freshness/predictor';
import { type PartialPredictor, pathText } from './check-form.ts';
import { nearestName, type SettingProblem } from './config-problem.ts';
import type { ParsedOutputs } from './config-schema.ts';

type At = (...keys: (string | number)[]) => string;

/** Returns the problems of `decision`, `segments` and `publish` that do not depend on the query's columns. */
export function publicationProblems(predictor: PartialPredictor, at: At): SettingProblem[] {
  return [...decisionProblems(predictor, at), ...repeatedSegments(predictor, at), ...thresholdProblems(predictor, at)];
}

function decisionProblems({ decision, outputs }: PartialPredictor, at: At): SettingProblem[] {
  const field = decision?.output;
  if (field === undefined || !outputs) return [];
  const path = at('decision', 'output');
  const fitting = Object.keys(outputs).filter((name) => isNumber(outputs[name]));
  const remedy =
    fitting.length > 0 ? `use one of ${fitting.join(', ')}` : 'remove decision: no output is a single number';
  if (!Object.hasOwn(outputs, field)) {
    const meant = nearestName(field, fitting);
    const problem = `'${field}' is not an output of this predictor`;
    return [{ path, problem, remedy: meant ? `write ${meant}` : remedy }];
  }
  if (isNumber(outputs[field])) return [];
  return [{ path, problem: `'${field}' is not a single number, so it cannot reach a threshold`, remedy }];
}

function isNumber(output: ParsedOutputs[string] | undefined): boolean {
  if (output === undefined) return false;
  return typeof output === 'string' ? output !== 'string' : output.type !== 'string' && output.width === undefined;
}

function repeatedSegments({ segments }: PartialPredictor, at: At): SettingProblem[] {
  return (segments ?? []).flatMap((column, i, all) => {
    if (all.indexOf(column) === i) return [];
    return [{ path: at('segments', i), problem: `'${column}' is listed twice`, remedy: 'remove it' }];
  });
}

function thresholdProblems({ publish, decision, outputs }: PartialPredictor, at: At): SettingProblem[] {
  const problems: SettingProblem[] = [];
  if (publish?.maxFlipRate !== undefined && decision === undefined) {
    problems.push({
      path: at('publish', 'maxFlipRate'),
      problem: 'has no effect without `decision`',
      remedy: 'add decision: { output, threshold }, or remove maxFlipRate',
    });
  }
  const isAnyNumber = !outputs || Object.values(outputs).some(isNumber);
  for (const setting of ['maxPsi', 'maxMeanDelta'] as const) {
    if (publish?.[setting] === undefined || isAnyNumber) continue;
    problems.push({
      path: at('publish', setting),
      problem: 'has no effect: no output is a single number',
      remedy: `remove ${setting}`,
    });
  }
  const ofOutputs = [publish?.maxPsi, publish?.maxFlipRate, publish?.maxMeanDelta];
  return [
    ...problems,
    ...withoutThreshold(publish, 'minUsers', ofOutputs, 'maxPsi, maxFlipRate or maxMeanDelta', at),
    ...withoutThreshold(
      publish,
      'onTimeout',
      [...ofOutputs, publish?.minCoverage],
      'maxPsi, maxFlipRate, maxMeanDelta or minCoverage',
      at,
    ),
  ];
}

function withoutThreshold(
  publish: PartialPredictor['publish'],
  setting: 'minUsers' | 'onTimeout',
  thresholds: readonly (number | undefined)[],
  names: string,
  at: At,
): SettingProblem[] {
  if (publish?.[setting] === undefined || thresholds.some((limit) => limit !== undefined)) return [];
  const problem = 'has no effect without a threshold that it applies to';
  return [{ path: at('publish', setting), problem, remedy: `remove ${setting}, or add ${names}` }];
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
    const meant = nearestName(column, names);
    return [
      {
        path: pathText(['predictors', name, 'segments', i]),
        problem: `'${column}' is not a feature column of the query`,
        remedy: meant ? `write ${meant}` : `use one or more of ${names.join(', ')}`,
      },
    ];
  });
}
