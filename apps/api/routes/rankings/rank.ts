/** POST /v1/rankings/{predictor}: ranks the candidates of the request by predictions for one user. */
import { createRankCandidates } from '@tandem/embedded/rank-candidates';
import { parseBody } from '@tandem/endpoints/body';
import { patienceOf } from '@tandem/endpoints/caller-patience';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { LIVE_PROBLEMS } from '@tandem/endpoints/describe-problems';
import { toProblem } from '@tandem/endpoints/problem';
import { optionsFor, readOptions } from '@tandem/endpoints/read-options';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import type { ReadTimes } from '@tandem/freshness/read-options';
import { PredictorPath } from '@tandem/wire/parameters';
import {
  MAX_CANDIDATES,
  RANK_EXAMPLE,
  RANKING_EXAMPLE,
  RankHeaders,
  RankingSchema,
  RankSchema,
} from '@tandem/wire/rankings';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

const BODY = { schema: RankSchema, example: RANK_EXAMPLE };

export function rank(dependencies: RouteDependencies) {
  const { registry } = dependencies;
  const rankCandidates = createRankCandidates(dependencies);
  return defineEndpoint({
    operationId: 'rank',
    method: 'post',
    path: '/v1/rankings/{predictor}',
    tag: 'predictions',
    summary: 'Candidates ranked for one user',
    description: `Ranks up to ${MAX_CANDIDATES} candidates, each with request features, in descending order of an output. The model always runs, because stored predictions cannot rank candidates. If live inference fails, the answer is its error.`,
    scope: 'predictions:read',
    params: PredictorPath,
    headers: RankHeaders,
    body: BODY,
    answer: { description: 'The candidates in order', schema: RankingSchema, example: RANKING_EXAMPLE },
    problems: [
      'unknown_predictor',
      'unknown_user',
      'history_changed',
      'context_not_reached',
      'not_cached',
      ...LIVE_PROBLEMS,
    ],
    async handle(context, event, caller) {
      const ofHeaders = { ...readOptions(context.req, caller.liveQuota), patience: patienceOf(context.req) };
      const asked = await parseBody(context, BODY);
      const predictor = await requirePredictor(registry, context.req.param('predictor'));
      const options = optionsFor(ofHeaders, predictor.policy.freshness.maxAgeMs);
      const times: ReadTimes = {};
      event.add(times);
      event.add({ predictor: predictor.name, candidates: asked.candidates.length });
      const { refused, ...ranking } = await rankCandidates(predictor, asked, options, times);
      const problems = refused.map(({ id, at, error }) => ({ id, error: toProblem(error, undefined, at).problem }));
      return { ...ranking, refused: problems };
    },
  });
}
