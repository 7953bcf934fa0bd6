/** POST /v1/outcomes: records what users did after they were served. All outcomes of a request are stored, or none. */

import { countStatuses, withField } from '@tandem/endpoints/batch';
import { jsonBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { ApiHost } from '@tandem/extension/extension';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { requireKeyType } from '@tandem/freshness/user-id';
import type { Context } from 'hono';
import { metrics as OUTCOME_METRICS } from '../metrics.ts';
import type { OutcomeStore } from '../outcome.ts';
import { MAX_OUTCOMES, OutcomeResultsSchema, OutcomesBodySchema } from '../wire.ts';
import { parseOutcome } from './parse-outcome.ts';

interface SendOutcomesDependencies extends Pick<ApiHost, 'keyType' | 'metrics'> {
  readonly outcomes: OutcomeStore;
}

export function sendOutcomes({ outcomes: store, keyType, metrics }: SendOutcomesDependencies) {
  const { outcomes: count } = metrics.register(OUTCOME_METRICS);
  return defineEndpoint({
    operationId: 'sendOutcomes',
    method: 'post',
    path: '/v1/outcomes',
    tag: 'rollouts',
    summary: 'Send outcomes',
    description: `Takes up to ${MAX_OUTCOMES} outcomes, or a single one. The acknowledgement means a durable commit. An outcome with the same source and id as an earlier one is answered as a duplicate and counts once. A rollout counts an outcome by its time, however late it arrives, if the user had been exposed and the window of the metric was open. An outcome of an unexposed or unknown user is no error.`,
    scope: 'outcomes:write',
    bodies: { 'application/json': { schema: OutcomesBodySchema } },
    answer: { status: 202, description: 'Accepted; one result per outcome, in order', schema: OutcomeResultsSchema },
    problems: ['outcome_conflict', 'unavailable'],
    async handle(context, event) {
      try {
        const { outcomes, prefix } = await readOutcomes(context, keyType);
        event.add({ outcomes: outcomes.length });
        const results = await store.accept(outcomes).catch((error: unknown) => {
          throw placed(error, prefix);
        });
        for (const { status } of results) count.inc({ outcome: status });
        event.add({
          get statuses() {
            return countStatuses(results);
          },
        });
        return { results };
      } catch (error) {
        count.inc({ outcome: 'refused' });
        throw error;
      }
    },
  });
}

/**
 * Returns the outcomes, and the prefix of each outcome's place in the field of a problem. The prefix is empty for a
 * single outcome.
 */
async function readOutcomes(context: Context, keyType: ApiHost['keyType']) {
  const { value } = await jsonBody(context, ['application/json']);
  const type = requireKeyType(await keyType());
  if (typeof value !== 'object' || value === null || !('outcomes' in value)) {
    return { outcomes: [parseOutcome(value, '', type)], prefix: '' };
  }
  const { outcomes, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) {
    throw refuse(unknown.slice(0, 80), 'it is not known', 'leave it out: `outcomes` is the only field');
  }
  if (!Array.isArray(outcomes)) throw refuse('outcomes', 'it is not an array', 'send an array of outcomes');
  if (outcomes.length > MAX_OUTCOMES) {
    const problem = `the request has ${outcomes.length} outcomes, more than the limit of ${MAX_OUTCOMES}`;
    throw refuse(`outcomes[${MAX_OUTCOMES}]`, problem, 'send them in several requests');
  }
  return { outcomes: outcomes.map((one, i) => parseOutcome(one, `outcomes[${i}].`, type)), prefix: 'outcomes' };
}

/** Removes the index from the error of a single outcome: the sender sent no list. */
function placed(error: unknown, prefix: string): unknown {
  if (!isTandemError(error) || error.field === undefined) return error;
  return withField(error, prefix === '' ? error.field.replace(/^\[0\]\./, '') : `${prefix}${error.field}`);
}

function refuse(field: string, problem: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `${field}: ${problem}.`, { field, remedy });
}
