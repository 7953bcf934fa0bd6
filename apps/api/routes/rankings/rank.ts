/**
 * POST /v1/rankings/{predictor}: the candidates of the call, ranked by a prediction for one user. The user's features are read
 * once, in the statement that certifies the answer; each candidate is a row of the model.
 */
import { createPredictionCount, predictionView } from '@tandem/embedded/prediction-view';
import type { Answer, ReadResult } from '@tandem/freshness/answer';
import { isTandemError, isTransient, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { ModelVersion, OutputField } from '@tandem/freshness/predictor';
import type { ReadTimes, RequestRead } from '@tandem/freshness/read-options';
import { userIdProblem } from '@tandem/freshness/user-id';
import { PredictorPath } from '@tandem/wire/parameters';
import {
  MAX_CANDIDATES,
  RANK_EXAMPLE,
  RANKING_EXAMPLE,
  RankHeaders,
  RankingSchema,
  type RankingView,
  RankSchema,
} from '@tandem/wire/rankings';
import type { Read } from '@tandem/wire/schema';
import { parseBody } from '../../http/body.ts';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { toProblem } from '../../http/problem.ts';
import type { ReadDependencies } from '../predictions/read-one.ts';
import { optionsFor, readOptions } from '../predictions/read-options.ts';

const BODY = { schema: RankSchema, example: RANK_EXAMPLE };

type Asked = Read<typeof RankSchema>;

export function rank(dependencies: ReadDependencies) {
  const { readPrediction, registry, metrics, servedReads } = dependencies;
  const count = createPredictionCount(metrics);
  return jsonEndpoint({
    operationId: 'rank',
    method: 'post',
    path: '/v1/rankings/{predictor}',
    tag: 'predictions',
    summary: 'Candidates ranked for one user',
    description: `Up to ${MAX_CANDIDATES} candidates with request features each, in descending order of an output. Always inferred: a stored prediction cannot rank them, so a failure of live inference is the answer.`,
    scope: 'predictions:read',
    params: PredictorPath,
    headers: RankHeaders,
    body: BODY,
    answer: { description: 'The candidates in order', schema: RankingSchema, example: RANKING_EXAMPLE },
    problems: [
      ...(['unknown_predictor', 'unknown_user', 'history_changed', 'context_not_reached', 'not_cached'] as const),
      ...(['features_failed', 'features_unusable', 'output_unusable', 'rate_limited'] as const),
      ...(['no_prediction', 'live_timeout', 'live_failed', 'overloaded', 'unavailable', 'protocol_unknown'] as const),
    ],
    async handle(context, event, caller) {
      const startedAt = performance.now();
      const name = context.req.param('predictor') ?? '';
      const demanded = readOptions(context.req, caller.liveQuota);
      const asked = await parseBody(context, BODY);
      const predictor = await registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      const refused = userIdProblem(predictor.keyType, asked.userId, 'userId') ?? repeatedId(asked);
      if (refused) throw refused;
      const options = optionsFor(demanded, predictor.policy.freshness.maxAgeMs);
      const times: ReadTimes = {};
      event.add(times);
      event.add({ predictor: name, candidates: asked.candidates.length });
      const userIds = asked.candidates.map(() => asked.userId);
      let by = '';
      const checkVersion = ({ outputs }: ModelVersion) => {
        by = outputToRankBy(outputs, asked.by ?? predictor.policy.decision?.output);
      };
      const request = { ...requestOf(asked), checkVersion };
      const results = await readPrediction(name, userIds, { ...options, request }, times);
      const error = failureOf(results);
      const answers = results.filter((result) => !(result instanceof TandemError));
      const result = error ?? (answers[0] as Answer);
      servedReads.note({ predictor, userId: asked.userId, result, ms: performance.now() - startedAt });
      if (error) {
        metrics.predictionErrors.inc({ predictor: name, code: error.code });
        throw error;
      }
      const ranking = rankingOf(asked, by, results);
      count(answers[0] as Answer);
      metrics.rankedCandidates.inc({ predictor: name }, results.length);
      return ranking;
    },
  });
}

function requestOf({ candidates }: Asked): RequestRead {
  return { rows: candidates.map(({ features }) => features), at: (row) => `candidates[${row}]`, isLiveOnly: true };
}

/** Returns the error of the whole call: no candidate has a prediction, or the model was not asked for some of them in time. */
function failureOf(results: readonly ReadResult[]): TandemError | undefined {
  const errors = results.filter((result) => result instanceof TandemError);
  return errors.find(isTransient) ?? (errors.length === results.length ? errors[0] : undefined);
}

function repeatedId({ candidates }: Asked): TandemError | undefined {
  const seen = new Set<string>();
  const place = candidates.findIndex(({ id }) => seen.size === seen.add(id).size);
  if (place < 0) return undefined;
  return new TandemError('invalid_input', `candidates[${place}].id is the id of an earlier candidate.`, {
    field: `candidates[${place}].id`,
    remedy: 'give each candidate an id of its own',
  });
}

function rankingOf(asked: Asked, by: string, results: readonly ReadResult[]): RankingView {
  const ranked: RankingView['ranked'][number][] = [];
  const refused: RankingView['refused'][number][] = [];
  const first = results.find((result): result is Answer => !(result instanceof TandemError)) as Answer;
  results.forEach((result, i) => {
    const id = asked.candidates[i]?.id ?? '';
    if (isTandemError(result)) refused.push({ id, error: toProblem(result, undefined, `candidates[${i}]`).problem });
    else ranked.push({ id, score: Number(result.prediction[by]), prediction: predictionView(result).prediction });
  });
  ranked.sort((one, other) => other.score - one.score);
  const { predictor, userId, modelVersion, variant, computedAt, ...certified } = predictionView(first);
  const { contextVersion, lastConcerningVersion, predictedFromContextVersion } = certified;
  return {
    ...{ predictor, userId, by, ranked: ranked.slice(0, asked.limit), refused },
    ...{ source: 'live', reason: 'requested', modelVersion, variant, computedAt: computedAt ?? '' },
    ...{ contextVersion, lastConcerningVersion, predictedFromContextVersion, itemsAsOf: asked.itemsAsOf ?? null },
  };
}

/** Returns the output to rank by. Throws `invalid_input` if `said` is missing and needed, or names no output with one number. */
function outputToRankBy(fields: readonly OutputField[], said: string | undefined): string {
  const outputs = fields.filter(({ type, width }) => width === null && type !== 'string').map(({ name }) => name);
  const by = said ?? (outputs.length === 1 ? outputs[0] : undefined);
  if (by !== undefined && outputs.includes(by)) return by;
  if (outputs.length === 0)
    throw refusedBy('cannot be used: no output has one number', 'rank by a predictor that gives a number');
  const fault =
    by === undefined ? 'is missing, and the prediction has several numbers' : 'is no output with one number';
  throw refusedBy(fault, `name one of ${outputs.slice(0, 8).join(', ')}`);
}

function refusedBy(fault: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `by ${fault}.`, { field: 'by', remedy });
}
