/**
 * Ranks the candidates of a call for one user, for an API or an application. One statement reads the user's features
 * and certifies the answer. Each candidate is a row of the model.
 */
import type { Answer, ReadResult } from '@tandem/freshness/answer';
import { invalidInput, isTransient, TandemError } from '@tandem/freshness/errors';
import type { ModelVersion, OutputField, PredictionValue, Predictor } from '@tandem/freshness/predictor';
import type { ReadOptions, ReadTimes, RequestRead } from '@tandem/freshness/read-options';
import { userIdProblem } from '@tandem/freshness/user-id';
import { createPredictionCount, predictionView } from '@tandem/reading/prediction-view';
import type { ReadUsersDependencies } from '@tandem/reading/read-users';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Read } from '@tandem/wire/schema';
import { metrics as RANKING_METRICS } from './metrics.ts';
import type { RankingView, RankSchema } from './wire.ts';

interface RankDependencies extends Pick<ReadUsersDependencies, 'readPrediction' | 'onAnswer'> {
  readonly metrics: Metrics;
}

type Asked = Read<typeof RankSchema>;

/** A ranking in the wire format, except that the candidates in `refused` have errors in place of problems. */
export interface Ranking extends Omit<RankingView, 'refused'> {
  /** Candidates for which the model gave no usable output. */
  readonly refused: readonly RefusedCandidate[];
}

interface RefusedCandidate {
  readonly id: string;
  /** The position of the candidate in the call. */
  readonly at: string;
  readonly error: TandemError;
}

/** Ranks candidates, and counts the result. Rejects with the error of the whole call, which is also counted. */
export type RankCandidates = (
  predictor: Predictor,
  asked: Asked,
  options: ReadOptions,
  times?: ReadTimes,
) => Promise<Ranking>;

export function createRankCandidates({ readPrediction, metrics, onAnswer }: RankDependencies): RankCandidates {
  const count = createPredictionCount(metrics);
  const { rankedCandidates } = metrics.register(RANKING_METRICS);
  return async function rankCandidates(predictor, asked, options, times) {
    const startedAt = performance.now();
    const { name, keyType, policy } = predictor;
    const malformed = userIdProblem(keyType, asked.userId, 'userId') ?? repeatedId(asked);
    if (malformed) throw malformed;
    let by = '';
    const checkVersion = ({ outputs }: ModelVersion) => {
      by = outputToRankBy(outputs, asked.by ?? policy.decision?.output);
    };
    const userIds = asked.candidates.map(() => asked.userId);
    const request = { ...requestOf(asked), checkVersion };
    const results = await readPrediction(name, userIds, { ...options, request }, times);
    const error = failureOf(results);
    const answers = results.filter((result) => !(result instanceof TandemError));
    const result = error ?? (answers[0] as Answer);
    onAnswer({
      ...{ predictor, userId: asked.userId, result },
      ...{ ms: performance.now() - startedAt, features: 'candidates' },
    });
    if (error) {
      metrics.predictionErrors.inc({ predictor: name, code: error.code });
      throw error;
    }
    count(answers[0] as Answer);
    rankedCandidates.inc({ predictor: name }, results.length);
    return rankingOf(asked, by, results);
  };
}

function requestOf({ candidates }: Asked): RequestRead {
  return { rows: candidates.map(({ features }) => features), at: placeOf, isLiveOnly: true };
}

function placeOf(candidate: number): string {
  return `candidates[${candidate}]`;
}

/**
 * Returns the error of the whole call: no candidate has a prediction, or the model did not finish in time for some of
 * them.
 */
function failureOf(results: readonly ReadResult[]): TandemError | undefined {
  const errors = results.filter((result) => result instanceof TandemError);
  return errors.find(isTransient) ?? (errors.length === results.length ? errors[0] : undefined);
}

function repeatedId({ candidates }: Asked): TandemError | undefined {
  const seen = new Set<string>();
  const place = candidates.findIndex(({ id }) => seen.size === seen.add(id).size);
  if (place < 0) return undefined;
  return new TandemError('invalid_input', `${placeOf(place)}.id repeats the id of an earlier candidate.`, {
    field: `${placeOf(place)}.id`,
    remedy: 'give each candidate a different id',
  });
}

function rankingOf(asked: Asked, by: string, results: readonly ReadResult[]): Ranking {
  const ranked: RankingView['ranked'][number][] = [];
  const refused: RefusedCandidate[] = [];
  const first = results.find((result): result is Answer => !(result instanceof TandemError)) as Answer;
  results.forEach((result, i) => {
    const id = asked.candidates[i]?.id ?? '';
    if (result instanceof TandemError) refused.push({ id, at: placeOf(i), error: result });
    else ranked.push({ id, score: scoreOf(result.prediction[by]), prediction: result.prediction });
  });
  ranked.sort((one, other) => compare(other.score, one.score));
  const { predictor, userId, modelVersion, variant, computedAt, ...certified } = predictionView(first);
  const { contextVersion, lastConcerningVersion, predictedFromContextVersion } = certified;
  return {
    ...{ predictor, userId, by, ranked: ranked.slice(0, asked.limit), refused },
    ...{ source: 'live', reason: 'requested', modelVersion, variant, computedAt: computedAt ?? '' },
    ...{ contextVersion, lastConcerningVersion, predictedFromContextVersion, itemsAsOf: asked.itemsAsOf ?? null },
  };
}

type Score = RankingView['ranked'][number]['score'];

/** Returns the value to rank by. A 64-bit integer beyond the range of a JSON number stays a text. */
function scoreOf(value: PredictionValue | undefined): Score {
  return typeof value === 'string' ? value : Number(value);
}

/** Compares scores exactly, even a bigint with a number. */
function compare(one: Score, other: Score): number {
  const [a, b] = [one, other].map((score) => (typeof score === 'string' ? BigInt(score) : score)) as [number, number];
  return Number(a > b) - Number(a < b);
}

/**
 * Returns the output to rank by. Throws `invalid_input` if `said` is missing but required, or if it names an output
 * without a single number.
 */
function outputToRankBy(fields: readonly OutputField[], said: string | undefined): string {
  const outputs = fields.filter(({ type, width }) => width === null && type !== 'string').map(({ name }) => name);
  const by = said ?? (outputs.length === 1 ? outputs[0] : undefined);
  if (by !== undefined && outputs.includes(by)) return by;
  if (outputs.length === 0)
    throw invalidInput(
      'by',
      'cannot be used: no output is a single number',
      'use a predictor with an output that is a single number',
    );
  const fault =
    by === undefined
      ? 'is missing, and the predictor has several numeric outputs'
      : 'is not an output with a single number';
  throw invalidInput('by', fault, `use one of ${outputs.slice(0, 8).join(', ')}`);
}
