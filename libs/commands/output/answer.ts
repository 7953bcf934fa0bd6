/** Renders answers: the prediction first, then its source and reason. */

import { REASONS } from '@tandem/freshness/reasons';
import type { Prediction, Problem } from '@tandem/transport/wire-types';
import type { Paint, Tone } from '../command.ts';
import { duration, moment, printable, renderFields, renderTable, right } from './text.ts';

const SOURCE_TONES: Readonly<Record<Prediction['source'], Tone>> = {
  batch: 'good',
  live: 'good',
  stale: 'warn',
  default: 'warn',
};

/** An answer with the headers that a command shows. */
interface Answered {
  readonly answer: Prediction;
  readonly etag: string | null;
  readonly cacheStatus: string | null;
}

/** The result of one user in a read of many. */
interface ManyResult {
  readonly userId: string;
  readonly answer: Prediction | null;
  readonly problem: Pick<Problem, 'detail'> | null;
}

/** Returns the text of an answer's reason. */
export function reasonText({ source, reason }: Pick<Prediction, 'source' | 'reason'>): string {
  if (source === 'stale' && reason === 'missing') return 'the feature query has no row for this user any more';
  return REASONS[reason]?.text ?? '';
}

export function renderAnswer({ answer, etag, cacheStatus }: Answered, paint: Paint): string[] {
  return renderFields([...answerFields(answer, paint), ['cache', cacheStatus ?? ''], ['etag', etag ?? '']]);
}

/** Returns the fields of an answer, by name. */
export function answerFields(answer: Prediction, paint: Paint): [name: string, value: string][] {
  const { computedAt, ageSeconds } = answer;
  return [
    ...outputsOf(answer.prediction).map(([name, value]): [string, string] => [name, paint('strong', value)]),
    ['source', `${paint(SOURCE_TONES[answer.source], answer.source)}, ${answer.reason}${reasonWords(answer)}`],
    ['model', versionOf(answer)],
    [
      'computed',
      computedAt === null
        ? 'never, since it is the declared default'
        : `${moment(computedAt)} UTC, ${ageOf(ageSeconds)} ago`,
    ],
    ['context', contextOf(answer)],
  ];
}

function contextOf({ contextVersion, lastConcerningVersion: last, predictedFromContextVersion: from }: Prediction) {
  const concerning =
    last === null || last === contextVersion ? '' : `; the last version that concerns this predictor is ${last}`;
  return `version ${contextVersion ?? 'unknown'}, predicted from ${from ?? 'none'}${concerning}`;
}

export function renderManyAnswers(results: readonly ManyResult[], paint: Paint): string[] {
  const answers = results.flatMap(({ answer }) => (answer === null ? [] : [answer]));
  const names = [...new Set(answers.flatMap((answer) => Object.keys(answer.prediction)))];
  const columns = ['user', ...names.map(right), 'source', 'reason', 'model', 'age'];
  const rows = results.map(({ userId, answer }) => {
    if (answer === null) return [printable(userId)];
    const { prediction, source, reason, ageSeconds } = answer;
    const outputs = names.map((name) => renderValue(prediction[name]));
    return [
      printable(userId),
      ...outputs,
      paint(SOURCE_TONES[source], source),
      reason,
      versionOf(answer),
      ageOf(ageSeconds),
    ];
  });
  const [head = '', ...lines] = renderTable(columns, rows);
  // Errors are not cut to the width of the columns.
  const refusals = results.map(({ problem }) =>
    problem === null ? '' : `  ${paint('bad', printable(problem.detail))}`,
  );
  return [head, ...lines.map((line, i) => line + refusals[i])];
}

/** Returns the text of a feature or an output; empty if there is no value. */
export function renderValue(value: unknown): string {
  if (value === undefined) return '';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map((item) => printable(String(item))).join(', ')}]`;
  return printable(String(value));
}

/** Returns the outputs of a prediction on one line: `score 0.42, segment loyal`. */
export function renderOutputs(prediction: Prediction['prediction']): string {
  return outputsOf(prediction)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function outputsOf(prediction: Prediction['prediction']): [string, string][] {
  return Object.entries(prediction).map(([name, value]) => [printable(name), renderValue(value)]);
}

function versionOf({ modelVersion, variant, generation }: Prediction): string {
  return `version ${modelVersion} (${variant})${generation === null ? '' : `, generation ${generation}`}`;
}

function reasonWords(answer: Prediction): string {
  const words = reasonText(answer);
  return words === '' ? '' : `: ${words}`;
}

/** Renders an age. The service returns whole seconds only. */
function ageOf(seconds: number | null): string {
  if (seconds === null) return '';
  return seconds === 0 ? 'under 1 s' : duration(seconds * 1000);
}
