import { createHash } from 'node:crypto';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import type { TrialLimits } from '@tandem/inference/admission/check-model';
import { createInferencePool } from '@tandem/inference/live/pool';
import { cpuLimit } from '@tandem/inference/process/time-limit';
import { adopt } from '@tandem/offline-store/adopt';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { createArtifactStore } from '@tandem/offline-store/models/artifacts';
import { listModelVersions } from '@tandem/offline-store/models/model-versions';
import { createRegistry } from '@tandem/offline-store/models/registry';
import { moveLabel } from '@tandem/offline-store/models/version-labels';
import { createPool, query } from '@tandem/offline-store/sql/database';
import { cloneDatabase } from '@tandem/testing/databases';
import { batchScaledModel, neverFiniteModel } from '@tandem/testing/hostile-models';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { settingProblem } from './judge-predictor.ts';
import { createPushVersion, type Push } from './push-version.ts';
import { type SampleLimits, sampleUsers } from './sample-users.ts';
import { createTrialQueue } from './trial-queue.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
  }
}

const TWELVE = Array.from({ length: 12 }, (_, i) => `f${i + 1}`);
const FOURTEEN = [...TWELVE, 'f13', 'f14'];
const sqlOf = (columns: readonly string[]) => `select user_id, ${columns.join(', ')}, loaded_at from customers`;
const weightsOf = (columns: readonly string[]) => columns.map((_, i) => (i % 2 === 0 ? 0.1 : -0.2));
const first = linearModel({ weights: weightsOf(TWELVE) });
const second = linearModel({ weights: weightsOf(FOURTEEN) });

const definition: ModelDefinition = {
  predictor: 'churn',
  artifactHash: hashOf(first),
  keyType: 'int8',
  query: {
    sql: sqlOf(TWELVE),
    columns: TWELVE.map((name) => ({ name, kind: 'number' as const })),
    asOf: 'loaded_at',
    overlayForMs: null,
  },
  inputs: [{ name: 'features', type: 'float32', columns: TWELVE }],
  outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
};

let world: Awaited<ReturnType<typeof open>>;
beforeAll(async () => {
  world = await open();
});
afterAll(() => world.close());

async function open() {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const pool = createPool({ url: database.url, max: 6, applicationName: 'push-test' });
  await pool.query(`create table customers (user_id bigint primary key, loaded_at timestamptz not null default now(),
    ${FOURTEEN.map((name) => `${name} float8 not null`).join(', ')})`);
  const values = FOURTEEN.map((_, i) => `n * ${i + 1} * 0.01`).join(', ');
  await pool.query(
    `insert into customers (user_id, ${FOURTEEN.join(', ')}) select n, ${values} from generate_series(1, 300) n`,
  );
  await adopt(pool, {
    actor: 'test',
    predictors: [
      {
        name: 'churn',
        artifact: first,
        definition,
        policy: {
          freshness: {
            maxAgeMs: null,
            live: true,
            liveTimeoutMs: 5_000,
            onLiveFailure: 'stale',
            unverified: true,
            default: { score: 0.2 },
            events: ['*'],
          },
          batch: { schedule: null, chunkSize: 100, minCoverage: 0.9 },
        },
      },
    ],
  });
  const artifacts = createArtifactStore(pool);
  const trials = createTrialQueue();
  const push = async (
    model: Buffer,
    more: Partial<Push> = {},
    { trial = {}, sampling = {} }: { trial?: TrialLimits; sampling?: SampleLimits } = {},
  ) => {
    const registry = createRegistry(pool);
    const tried = { trials, memoryLimitMb: 512, trial, sampling };
    const pushVersion = createPushVersion({ pool, features: pool, artifacts, registry, ...tried });
    await artifacts.put(hashOf(model), model);
    return pushVersion({ predictor: 'churn', artifact: hashOf(model), settings: {}, actor: 'key:ci', ...more });
  };
  return {
    pool,
    push,
    async close() {
      await pool.end();
      await database.drop();
    },
  };
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const arms = () => query(world.pool, { text: 'select * from tandem.arms' });
const audit = (action: string) =>
  query<{ actor: string; detail: Record<string, unknown> }>(world.pool, {
    text: 'select actor, detail from tandem.audit where action = $1 order by seq',
    values: [action],
  });

it('rejects a query with a second statement, hidden by quotes, comments or brackets', async () => {
  const carriers = [
    'select user_id, f1 as a$$ from customers) f; create table pushed (); select 1 from (select 1 as b$$',
    "select user_id, f1 /* /* */ ' */ from customers) f; create table pushed (); --'",
    'select user_id, f1 from customers --\r) f; create table pushed (); select 1 from (select 1',
  ];
  for (const sql of carriers) {
    const push = world.push(second, { settings: { features: { sql } } });
    await expect(push).rejects.toMatchObject({ code: 'config_invalid', field: 'features.sql' });
  }
  expect(await query(world.pool, { text: `select to_regclass('pushed') as pushed` })).toEqual([{ pushed: null }]);
});

describe('a version of 14 columns beside one of 12', () => {
  it('is stored with certificate, metadata, origin, note and metrics, moves no arm, and scores', async () => {
    const before = await arms();
    const settings = { features: { sql: sqlOf(FOURTEEN) } };
    const words = { note: 'two more columns', metrics: { auc: 0.82 }, label: 'challenger' };
    const { version, isNew } = await world.push(second, { settings, ...words });
    expect(isNew).toBe(true);
    expect(version).toMatchObject({
      number: 2,
      note: 'two more columns',
      metrics: { auc: 0.82 },
      labels: ['challenger'],
      arms: [],
      origin: { by: 'key:ci', how: 'push' },
      query: { asOf: 'loaded_at' },
      parity: { users: { madeUp: 64 }, refused: { real: 0 }, readBothWays: 32, tolerance: 1e-5 },
      metadata: { inputs: [{ name: 'features', type: 'float32', shape: ['N', 14] }], bytes: second.length },
    });
    expect(Object.keys(version.parity?.refused ?? {})).toEqual(['real', 'madeUp']);
    expect(JSON.stringify(version.parity)).not.toContain('userId');
    expect(version.query.columns).toHaveLength(14);
    expect(version.metadata?.opset['ai.onnx']).toBeGreaterThan(6);
    expect(await arms()).toEqual(before);
    expect(await audit('push_version')).toMatchObject([{ actor: 'key:ci', detail: { modelNumber: 2 } }]);
    expect(await scoresOf([1, 2])).toEqual([
      [scoreOf(TWELVE, 7), scoreOf(FOURTEEN, 7)].map((score) => expect.closeTo(score, 5)),
    ]);
  });

  it('stays the same version when it is pushed again, without another trial or audit row', async () => {
    const again = await world.push(second, { settings: { features: { sql: sqlOf(FOURTEEN) } } });
    expect(again).toMatchObject({ isNew: false, version: { number: 2, note: 'two more columns' } });
    expect(await audit('push_version')).toHaveLength(1);
  });

  it('takes note and metrics of a later push, which the audit records; omitted values stay', async () => {
    const settings = { features: { sql: sqlOf(FOURTEEN) } };
    const noted = await world.push(second, { settings, note: 'another note' });
    expect(noted).toMatchObject({ isNew: false, version: { number: 2, note: 'another note' } });
    const measured = await world.push(second, { settings, metrics: { auc: 0.9 } });
    expect(measured.version).toMatchObject({ note: 'another note', metrics: { auc: 0.9 } });
    const rows = await audit('push_version');
    expect(rows).toHaveLength(3);
    expect(rows[1]).toMatchObject({ detail: { modelNumber: 2, note: 'another note', again: true } });
  });
});

describe('the served version', () => {
  it('gets its missing certificate when it is pushed, and stays version 1', async () => {
    await expect(
      moveLabel(world.pool, { predictor: 'churn', label: 'old', number: 1, actor: 'a' }),
    ).rejects.toMatchObject({ code: 'version_unverified', field: 'version' });
    expect(await world.push(first)).toMatchObject({ isNew: false, version: { number: 1, arms: ['stable'] } });
    expect((await listModelVersions(world.pool, { predictor: 'churn', number: 1 }))[0]?.parity).not.toBeNull();
    const move = { predictor: 'churn', label: 'challenger', number: 1, actor: 'key:ops' };
    expect(await moveLabel(world.pool, move)).toEqual({ from: 2, to: 1 });
    expect(await audit('move_label')).toMatchObject([
      { actor: 'key:ci', detail: { label: 'challenger', from: null, to: 2 } },
      { actor: 'key:ops', detail: { label: 'challenger', from: 2, to: 1 } },
    ]);
  });
});

describe('a version is refused, and nothing of it is stored,', () => {
  const twoColumns = { features: { sql: sqlOf(['f1', 'f2']) } };
  it.each<[string, () => Buffer, Partial<Push>, object]>([
    [
      'if the rows of a batch depend on one another; the error has the figures and the remedy',
      batchScaledModel,
      { settings: twoColumns },
      {
        code: 'model_refused',
        field: 'artifact',
        message: expect.stringMatching(/score of user \S+ is [\d.e-]+ alone, but [\d.e-]+ in a batch of \d+/),
        remedy: expect.stringMatching(/^Set rowByRow: true, which infers each user alone/),
      },
    ],
    [
      'if it gives no user a number',
      () => neverFiniteModel(Number.NaN),
      { settings: twoColumns },
      { code: 'model_refused', field: 'artifact', message: expect.stringContaining('score is NaN') },
    ],
    [
      'if the query has other columns than the model takes',
      () => second,
      {},
      { code: 'config_invalid', field: 'features.sql', message: expect.stringContaining('14') },
    ],
    [
      'if the query is not a select',
      () => second,
      { settings: { features: { sql: 'delete from customers' } } },
      { code: 'config_invalid', field: 'features.sql', message: expect.stringContaining('is not a select') },
    ],
    [
      'if Postgres does not know a column',
      () => second,
      { settings: { features: { sql: 'select user_id, nothing from customers' } } },
      { code: 'config_invalid', field: 'features.sql', message: expect.stringContaining('nothing') },
    ],
    [
      'if the query returns other values for one user than for many',
      () => linearModel({ weights: [1, 1] }),
      {
        settings: {
          features: {
            asOf: null,
            sql: "select user_id, f1, case when current_query() like 'copy%' then 1.0::float8 else 0 end as alone from customers",
          },
        },
      },
      {
        code: 'model_refused',
        field: 'features.sql',
        message: expect.stringContaining('other values for one user than for many'),
      },
    ],
    [
      'if its label is the name of an arm',
      () => second,
      { label: 'stable' },
      { code: 'invalid_input', field: 'label' },
    ],
    [
      'if its parent does not exist',
      () => second,
      { build: { parent: 77, kind: 'int8' } },
      { code: 'invalid_input', field: 'build.parent' },
    ],
    ['if the predictor is unknown', () => second, { predictor: 'nobody' }, { code: 'unknown_predictor' }],
    [
      'if its file was not uploaded',
      () => second,
      { artifact: 'a'.repeat(64) },
      { code: 'invalid_input', field: 'artifact', remedy: expect.stringContaining('PUT /v1/artifacts/') },
    ],
  ])('%s', async (_, model, more, expected) => {
    const before = await listModelVersions(world.pool);
    await expect(world.push(model(), more)).rejects.toMatchObject(expected);
    expect(await listModelVersions(world.pool)).toEqual(before);
  });

  it('if its query returns no user in time', async () => {
    const sql = 'select user_id, f1, f2 + 0 * length(pg_sleep(1000)::text) as f2, loaded_at from customers';
    const before = await listModelVersions(world.pool, { predictor: 'churn' });
    await expect(
      world.push(
        batchScaledModel(),
        { settings: { features: { sql }, rowByRow: true } },
        { sampling: { keysMs: 250 } },
      ),
    ).rejects.toMatchObject({
      code: 'config_invalid',
      field: 'features.sql',
      message: 'features.sql: No real user could be tried: user ids were not read within 0.25 s.',
      remedy: expect.stringContaining('index'),
    });
    expect(await listModelVersions(world.pool, { predictor: 'churn' })).toEqual(before);
  });

  it('but not if many users take too long: a few are read and tried', async () => {
    // 256 users take at least 10 s, above the limit. 8 users take about 0.3 s, so a busy machine reads them in time.
    await world.pool.query(`create function slowly(float8) returns float8 language plpgsql stable as
      'begin perform pg_sleep(0.04); return $1; end'`);
    const sql = 'select user_id, f1, slowly(f2) as f2, loaded_at from customers';
    const settings = { features: { sql }, rowByRow: true };
    const { version } = await world.push(batchScaledModel(), { settings }, { sampling: { featuresMs: 5_000 } });
    expect(version).toMatchObject({ parity: { users: { real: 8 } } });
  });

  it('but not if it is pinned to single rows: its answers are equal to the last bit', async () => {
    const settings = { features: { sql: sqlOf(['f1', 'f2']) }, rowByRow: true };
    const { version } = await world.push(batchScaledModel(), { settings, build: { parent: 1, kind: 'int8' } });
    expect(version).toMatchObject({
      rowByRow: true,
      build: { parent: 1, kind: 'int8' },
      parity: { batchSizes: [1], tolerance: 0, largestDifference: null },
    });
  });
});

describe('an optimised build', () => {
  it('takes missing settings from its parent, not from the stable version', async () => {
    const pruned = linearModel({ weights: weightsOf(FOURTEEN).map((weight, i) => (i === 13 ? 0 : weight)) });
    const { version } = await world.push(pruned, { build: { parent: 2, kind: 'pruned' } });
    expect(version).toMatchObject({ build: { parent: 2, kind: 'pruned' }, query: { sql: sqlOf(FOURTEEN) } });
    expect(version.inputs[0]?.columns).toEqual(FOURTEEN);
  });
});

/** Returns the scores of user 7 by these versions, from a pool that serves both. */
async function scoresOf(numbers: readonly number[]): Promise<number[][]> {
  const registry = createRegistry(world.pool);
  const scorer = createInferencePool({ loadArtifact: registry.loadArtifact, processes: 1, log: () => {} });
  const source = createFeatureSource(world.pool);
  try {
    const scores: number[] = [];
    for (const number of numbers) {
      const [version] = await listModelVersions(world.pool, { predictor: 'churn', number });
      if (!version) throw new Error(`no version ${number}`);
      const { batch } = await source.readUsers(version, ['7']);
      const { tensors } = await scorer.score({ version, batch, rows: [0], timeoutMs: 30_000, priority: 'live' });
      scores.push(Number(tensors.score?.data[0]));
    }
    return [scores];
  } finally {
    await scorer.close();
  }
}

function scoreOf(columns: readonly string[], n: number): number {
  return linearScore(
    weightsOf(columns),
    0,
    columns.map((_, i) => n * (i + 1) * 0.01),
  );
}

it('a trial without enough CPU refuses no model: a repeated push is stored', async () => {
  const model = linearModel({ weights: weightsOf(TWELVE), bias: 0.25 });
  const impatient = { trial: { totalLimit: cpuLimit(30_000, 1) } };
  await expect(world.push(model, {}, impatient)).rejects.toMatchObject({
    code: 'overloaded',
    message: expect.stringMatching(
      /^A trial run was not finished: .* got [\d.]+ s of CPU in [\d.]+ s: the machine is busy\.$/,
    ),
    field: 'artifact',
    remedy: expect.stringContaining('says nothing about the model'),
    retryAfter: expect.any(Number),
  });
  expect(await world.push(model)).toMatchObject({ isNew: true });
});

describe('a query that fails with an error in Postgres', () => {
  const body = (statement: string) => `returns float8 language plpgsql stable as $$ begin ${statement} end $$`;
  const raising = (state: string) =>
    `raise exception 'not for you' using errcode = '${state}', hint = 'ask the owner';`;
  const FUNCTIONS: Readonly<Record<string, string>> = {
    P0001: raising('P0001'),
    '0A000': raising('0A000'),
    '2F003': raising('2F003'),
    '42501': raising('42501'),
    '54001': 'return failing();',
    '25001': `perform set_config('transaction_read_only', 'off', false); return 1;`,
  };
  const WORDS: Readonly<Record<string, RegExp>> = {
    '54001': /^The feature query( of predictor churn)? fails: stack depth limit exceeded/,
    '25001': /^The feature query( of predictor churn)? fails: transaction read-write mode must be set before any query/,
  };
  const NOT_FOR_YOU = /^The feature query( of predictor churn)? fails: not for you/;
  /** Queries that fail when user ids are read (`where`), and when features are read (`select`). */
  const PLACES: Readonly<Record<string, string>> = {
    where: `${sqlOf(TWELVE)} where failing() > 0`,
    select: sqlOf(TWELVE).replace('f1,', 'f1 + 0 * failing() as f1,'),
  };

  const failAs = (state: string) =>
    world.pool.query(`create or replace function failing() ${body(FUNCTIONS[state] ?? '')}`);

  it.each(Object.keys(FUNCTIONS).flatMap((state) => Object.keys(PLACES).map((place) => ({ state, place }))))(
    '$state in $place is a problem of the query, with the message and the hint of Postgres',
    async ({ state, place }) => {
      await failAs(state);
      const query = { ...definition.query, sql: PLACES[place] ?? '' };
      const error = await sampleUsers(world.pool, { ...definition, query }).catch((refusal: unknown) => refusal);
      expect(error).toMatchObject({ code: 'config_invalid' });
      expect(settingProblem('churn', error)).toMatchObject({
        path: 'predictors.churn.features.sql',
        problem: expect.stringMatching(WORDS[state] ?? NOT_FOR_YOU),
        ...(WORDS[state] ? {} : { remedy: 'ask the owner' }),
      });
    },
  );

  it.each(Object.keys(PLACES))('in %s refuses the push, and the error names features.sql', async (place) => {
    await failAs('P0001');
    await expect(world.push(first, { settings: { features: { sql: PLACES[place] ?? '' } } })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(NOT_FOR_YOU),
      field: 'features.sql',
      remedy: 'ask the owner',
    });
  });

  it('names a user whose row makes the query fail', async () => {
    const sql = sqlOf(TWELVE).replace('f1,', 'f1 + 0 * (1 / (user_id % 10))::int as f1,');
    await expect(world.push(first, { settings: { features: { sql } } })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^The feature query of predictor churn fails: division by zero \(user \d*0\)$/),
    });
  });
});
