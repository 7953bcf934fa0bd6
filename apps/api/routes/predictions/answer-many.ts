/**
 * Answers many users of a predictor at once, each with a prediction or an error, in the order of the request, and logs
 * the call. It extends the embedded read of many users (`@tandem/embedded/read-users`) with the caller's headers.
 */

import { createReadUsers } from '@tandem/embedded/read-users';
import type { AnswerMany } from '@tandem/endpoints/answer-many';
import { optionsFor } from '@tandem/endpoints/read-options';
import type { ReadResult } from '@tandem/freshness/answer';
import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { ReadTimes } from '@tandem/freshness/read-options';
import type { OpenedDependencies } from '../../wiring/route-dependencies.ts';

export function createAnswerMany(dependencies: OpenedDependencies): AnswerMany {
  const { registry, liveFailureLog } = dependencies;
  const readUsers = createReadUsers(dependencies);
  return async function answerMany({ predictor: name, userIds, ofHeaders, fieldOf, request }, event) {
    const predictor = await registry.predictor(name);
    if (!predictor) throw unknownPredictor(name);
    const options = optionsFor(ofHeaders, predictor.policy.freshness.maxAgeMs);
    const times: ReadTimes = {};
    event.add(times);
    event.add({ predictor: name, users: userIds.length });
    const { results, refused, note } = await readUsers({ predictor, userIds, options, fieldOf, request }, times);
    event.add({
      refused,
      get answers() {
        return tally(results);
      },
    });
    liveFailureLog(event, { predictor: name, userIds }, results);
    return {
      results,
      tell: note,
    };
  };
}

/**
 * Counts the results by kind, such as `batch fresh`, `stale live_timeout` or `error unknown_user`, when the wide event
 * is written.
 */
function tally(results: readonly ReadResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const kind = result instanceof TandemError ? `error ${result.code}` : `${result.source} ${result.reason}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
