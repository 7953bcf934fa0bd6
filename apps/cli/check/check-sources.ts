/** Which tables a predictor's query reads, which of them are watched, and whether those that the config names can be. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import { checkWatchable } from '@tandem/offline-store/sources/watch-source';
import { listDeclaredWatches, listWatchedSources, resolveWatches } from '@tandem/offline-store/sources/watched-sources';
import { type Finding, failed } from '../output/finding.ts';
import type { Databases } from '../servers/databases.ts';
import { describeSources } from '../sources/describe-sources.ts';
import { watchRequests } from '../sources/watch-requests.ts';

/** The schema is there, as this release wants it. */
export async function checkSources({ pool, features }: Databases, predictor: CheckedPredictor): Promise<Finding[]> {
  const requests = watchRequests(predictor);
  const query = { name: predictor.name, sql: predictor.definition.query.sql };
  const findings = await describeSources(features, query, {
    watched: await listWatchedSources(pool),
    adopted: await listDeclaredWatches(pool),
    next: await resolveWatches(pool, predictor.name, requests),
  });
  for (const request of requests) {
    const refusal = await checkWatchable(pool, request).then(() => null, asTandemError);
    if (refusal) {
      findings.push(failed('sources', `${request.table} cannot be watched: ${refusal.message}`, refusal.remedy ?? ''));
    }
  }
  return findings;
}

function asTandemError(error: unknown): TandemError {
  if (isTandemError(error, 'config_invalid')) return error;
  throw error;
}
