/** For the tests of features: a version over the table `odd`, whose columns are of every type. */
import type { FeatureColumn, ModelVersion } from '@tandem/freshness/predictor';

/** Outputs of which each makes a separate version. */
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
