/** The feature queries of what is served: those of every arm of every active predictor. */
import type { Pool } from '@tandem/admission/sample-users';
import { listModelVersions } from '@tandem/offline-store/models/model-versions';

export interface ServedQuery {
  readonly name: string;
  readonly sql: string;
}

export async function findServedQueries(pool: Pool): Promise<readonly ServedQuery[]> {
  const served = (await listModelVersions(pool)).filter(({ arms }) => arms.length > 0);
  const queries = new Map(
    served.map(({ predictor, query }) => [`${predictor}\n${query.sql}`, { name: predictor, sql: query.sql }]),
  );
  return [...queries.values()];
}
