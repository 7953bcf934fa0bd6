/** A model version over the table `odd`, with columns of all types, for tests of features. */
import type { FeatureColumn, ModelVersion } from '@tandem/freshness/predictor';

/** Returns a version with a random id, so that each call gives a separate version. */
export function oddVersion(columns: readonly FeatureColumn[], sql = 'select * from odd'): ModelVersion {
  return {
    id: Math.random().toString(16).slice(2),
    number: 1,
    predictor: 'odd',
    artifactHash: '',
    keyType: 'int8',
    query: { sql, asOf: null, overlayForMs: 3_600_000, columns },
    inputs: [],
    outputs: [],
  };
}
