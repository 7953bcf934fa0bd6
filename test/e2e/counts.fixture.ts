/**
 * A predictor whose score is the count of a user's changes. The score shows the features from which an answer was
 * computed, independently of its label. Every user begins without a change and without an event, so a correct label is
 * never above the score.
 */
import { createHash } from 'node:crypto';
import type { BatchPolicy, FreshnessPolicy } from '@tandem/freshness/predictor';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import type { createPool } from '@tandem/offline-store/sql/database';
import { echoModel } from '@tandem/testing/onnx-models';

export type Pool = ReturnType<typeof createPool>;

export interface Counts {
  readonly users: number;
  readonly freshness?: Partial<FreshnessPolicy>;
  readonly batch?: Partial<BatchPolicy>;
}

export const COUNT = 'count';

/** Makes the table `counts` (users 1 to n; `load` is a second feature for models that misbehave) and its predictor. */
export async function adoptCounts(pool: Pool, counts: Counts): Promise<void> {
  await createCounts(pool, counts.users);
  await adopt(pool, { actor: 'test', predictors: [countPredictor(counts)] });
}

export async function createCounts(pool: Pool, users: number): Promise<void> {
  await pool.query(`
    create table counts (user_id bigint primary key, changes int not null default 0, load float8 not null default 0);
    insert into counts (user_id) select n from generate_series(1, ${users}) n;
    analyze counts`);
}

export function countPredictor({ freshness, batch }: Omit<Counts, 'users'>): PredictorToAdopt {
  return loadedPredictor({
    name: COUNT,
    model: echoModel('float32', 1),
    columns: ['changes'],
    freshness: freshness ?? {},
    batch: batch ?? {},
  });
}

export interface LoadedPredictor {
  readonly name: string;
  readonly model: Buffer;
  /** The columns that the model takes, in the model's order. */
  readonly columns: readonly ('load' | 'changes')[];
  /** An SQL condition for the users of the predictor; default: all users. */
  readonly where?: string;
  readonly freshness: Partial<FreshnessPolicy>;
  readonly batch: Partial<BatchPolicy>;
}

/** Returns a predictor over `counts` for a model with the input `features` and the output `score`. */
export function loadedPredictor(options: LoadedPredictor): PredictorToAdopt {
  const { name, model, columns, where = 'true', freshness, batch } = options;
  return {
    name,
    artifact: model,
    policy: {
      freshness: { ...FRESHNESS, ...freshness },
      batch: { schedule: null, chunkSize: 1_000, minCoverage: 1, ...batch },
    },
    definition: {
      predictor: name,
      artifactHash: createHash('sha256').update(model).digest('hex'),
      keyType: 'int8',
      query: {
        sql: `select user_id, load, changes from counts where ${where}`,
        columns: [
          { name: 'load', kind: 'number' },
          { name: 'changes', kind: 'integer' },
        ],
        asOf: null,
        overlayForMs: null,
      },
      inputs: [{ name: 'features', type: 'float32', columns }],
      outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
    },
  };
}

/** Returns the predictor `checkout`, whose outputs are its inputs: the count of a user's changes, and two request features. */
export function checkoutPredictor(): PredictorToAdopt {
  const model = echoModel('float32', 3);
  const freshness = { liveTimeoutMs: 20_000 };
  const plain = loadedPredictor({ name: 'checkout', model, columns: ['changes'], freshness, batch: {} });
  const outputs = ['changes', 'amount', 'channel'].map((name, index) => ({
    ...{ name, output: 'score', type: 'float32' as const, width: null, index },
  }));
  return {
    ...plain,
    definition: {
      ...plain.definition,
      query: {
        ...plain.definition.query,
        sql: 'select user_id, changes from counts',
        columns: [{ name: 'changes', kind: 'integer' }],
      },
      request: [
        { name: 'amount', kind: 'number', min: 0, max: 1_000 },
        { name: 'channel', kind: 'string', categories: { values: ['web', 'app'], encoding: 'index' }, default: 'web' },
      ],
      inputs: [{ name: 'features', type: 'float32', columns: ['changes', 'amount', 'channel'] }],
      outputs,
    },
  };
}

const FRESHNESS: FreshnessPolicy = {
  maxAgeMs: null,
  live: true,
  liveTimeoutMs: 1_000,
  onLiveFailure: 'stale',
  unverified: true,
  default: null,
  events: ['*'],
};

/** Changes a user and commits, without an event. Returns the count. */
export async function changeSilently(pool: Pool, userId: string): Promise<number> {
  const { rows } = await pool.query<{ changes: number }>({
    text: 'update counts set changes = changes + 1 where user_id = $1::bigint returning changes',
    values: [userId],
  });
  return rows[0]?.changes ?? 0;
}
