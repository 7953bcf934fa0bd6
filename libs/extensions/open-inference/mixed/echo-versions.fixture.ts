/** Two versions of a model that returns its inputs, in an A/B test. An answer shows its user, version and row. */
import { createHash } from 'node:crypto';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { createPool } from '@tandem/offline-store/sql/database';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { echoModel } from '@tandem/testing/onnx-models';

export const ECHO = 'echo';
export const USERS = 200;
/** The feature query fails for the first user, and returns no owner for the second. */
export const [FAILING, UNUSABLE] = [13, 17];
export const TOKEN_OF_USERS = 7;
const MODEL = echoModel('float64', 3);

/** Adopts two versions with the same model file. Half of the users are assigned to the second version. */
export async function adoptEchoes(databaseUrl: string): Promise<void> {
  const pool = createPool({ url: databaseUrl, max: 1, applicationName: 'mixed' });
  try {
    await pool.query(`create table owners as select n::bigint as user_id from generate_series(1, ${USERS}) n;
      alter table owners add primary key (user_id)`);
    for (const number of [1, 2]) await adopt(pool, { predictors: [echoPredictor(number)], actor: 'test' });
    const rollouts = createRolloutStore(pool);
    const analysis = {
      ...{ automatic: false, dryRun: true, intervalMs: 60_000, minStepMs: 0, minUsers: 100, alpha: 0.05 },
      guardrails: { errorRate: null, slowShare: null, slowMs: 100, liveShare: null, psi: null },
      outcomes: [],
    };
    const arms = [{ name: 'other', version: 1, weight: 50 }];
    const plan = { kind: 'ab', arms, coverage: 'live', analysis } as const;
    const { id } = await rollouts.create({ predictor: ECHO, plan, actor: 'test' });
    await rollouts.begin(id, { actor: 'test', reason: 'a test' });
  } finally {
    await pool.end();
  }
}

/** @param number the version's number, which the feature query returns */
function echoPredictor(number: number): PredictorToAdopt {
  const freshness = { maxAgeMs: null, live: true, liveTimeoutMs: 10_000, onLiveFailure: 'error' as const };
  return {
    name: ECHO,
    artifact: MODEL,
    policy: {
      freshness: { ...freshness, unverified: false, default: null, events: [] },
      batch: { schedule: null, chunkSize: 1_000, minCoverage: 1 },
    },
    definition: {
      predictor: ECHO,
      artifactHash: createHash('sha256').update(MODEL).digest('hex'),
      keyType: 'int8',
      query: {
        sql: `select user_id, case user_id when ${FAILING} then 1 / (user_id - ${FAILING}) when ${UNUSABLE} then null
          else user_id end::float8 as owner, ${number}::float8 as model, ${TOKEN_OF_USERS}::float8 as token from owners`,
        columns: ['owner', 'model', 'token'].map((name) => ({ name, kind: 'number' as const })),
        ...{ asOf: null, overlayForMs: null },
      },
      inputs: [{ name: 'features', type: 'float64', columns: ['owner', 'model', 'token'] }],
      outputs: [{ name: 'echo', output: 'score', type: 'float64', width: 3, index: 0 }],
    },
  };
}
