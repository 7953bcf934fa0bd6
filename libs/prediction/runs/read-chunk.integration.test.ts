/** A feature query that fails for one user: the run names that user, and scores the others of the chunk. */
import { randomUUID } from 'node:crypto';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPredictionWorld, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import type { FeatureSource } from '../scoring/feature-source.ts';
import { readChunk } from './score-chunk.ts';

const CHUNK = 20;
let world: PredictionWorld;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 3 * CHUNK });
  // The query reads a view, whose rows fail as the underlying table says.
  await world.pool.query(`
    alter table counts rename to rows_of_counts;
    alter table rows_of_counts add divisor int not null default 1;
    create view counts as select user_id, changes + 0 * (1 / divisor) as changes, divisor from rows_of_counts`);
});
afterAll(() => world?.close());

async function failFor(userIds: readonly string[]): Promise<void> {
  const text = 'update rows_of_counts set divisor = case when user_id = any($1::bigint[]) then 0 else 1 end';
  await world.pool.query(text, [userIds]);
}

async function failuresOf(runId: string): Promise<unknown[]> {
  const text = 'select user_id as "userId", reason from tandem.run_failures where run_id = $1 order by user_id::bigint';
  return (await world.pool.query(text, [runId])).rows;
}

const REASON = `The feature query of predictor ${PREDICTOR} fails: division by zero`;

describe('a run', () => {
  it('of all users names the users that the query fails for, and publishes the others', async () => {
    await failFor(['7', '41', '60']);
    const { runId, outcome } = await world.run({ kind: 'all' });
    expect(outcome).toMatchObject({ state: 'done_with_errors', generation: { users: 3 * CHUNK - 3 } });
    expect(await failuresOf(runId)).toEqual(['7', '41', '60'].map((userId) => ({ userId, reason: REASON })));
  });

  it('of named users names them, too, even if it has no other user', async () => {
    await failFor(['8']);
    const { runId, reports } = await world.run({ kind: 'users', userIds: ['8'] });
    expect(reports).toMatchObject([{ outcome: 'committed', usersScored: 0, usersFailed: 1 }]);
    expect(await failuresOf(runId)).toEqual([{ userId: '8', reason: REASON }]);
  });

  it('returns a chunk if the query fails for every user', async () => {
    await failFor(Array.from({ length: 3 * CHUNK }, (_, i) => String(i + 1)));
    const { reports } = await world.run({ kind: 'all' });
    expect(reports[0]).toMatchObject({ outcome: 'given_back', error: expect.stringContaining('division by zero') });
    await failFor([]);
  });
});

describe('a chunk whose query fails for one user', () => {
  const EVERYBODY = { range: { from: null, to: null } };
  const ALIVE = new AbortController().signal;

  async function readCounting(sql: string, features: Partial<FeatureSource> = {}) {
    const assignment = (await world.authority.certify([])).assignments(PREDICTOR)?.stable;
    const served = await world.registry.modelVersion(assignment?.modelVersionId ?? '');
    const version: ModelVersion = { ...served, id: randomUUID(), query: { ...served.query, sql } };
    const asked: number[] = [];
    const source: FeatureSource = {
      ...world.features,
      ...features,
      readNamed(...[of, userIds, lost]: Parameters<FeatureSource['readNamed']>) {
        asked.push(userIds.length);
        return (features.readNamed ?? world.features.readNamed)(of, userIds, lost);
      },
    };
    return { asked, work: readChunk(source, version, { part: EVERYBODY, scope: 'all' }, ALIVE, () => {}) };
  }

  it('is read in about twice as many statements as the logarithm of its users', async () => {
    const { asked, work } = await readCounting(
      'select user_id, changes + 0 * (1 / (user_id - 9))::int as changes from counts',
    );
    const { batch, rows, failures } = await work;
    expect([batch.userIds.length, rows.length]).toEqual([3 * CHUNK - 1, 3 * CHUNK - 1]);
    expect(failures).toMatchObject([{ userId: '9' }]);
    expect(asked.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(3 * CHUNK)) + 1);
  });

  it('labels each user with the version of the statement that read the user', async () => {
    let changed = false;
    const { work } = await readCounting(
      'select user_id, changes + 0 * (1 / (user_id - 1))::int as changes from counts',
      {
        async readNamed(...asked) {
          const read = await world.features.readNamed(...asked);
          if (!changed) await change('60');
          changed = true;
          return read;
        },
      },
    );
    const { batch } = await work;
    const row = batch.userIds.indexOf('60');
    // These features were read before the change, and so is the label, although later statements of the chunk saw the
    // change.
    expect([batch.contextVersions[row], batch.values[0]?.[row]]).toEqual([0, 0]);
    expect((await world.authority.certify(['60'], PREDICTOR)).user('60', PREDICTOR).version).toBe(1);
  });

  it('ends after 16 statements if the query fails for every user', async () => {
    const { asked, work } = await readCounting('select user_id, (1 / (user_id - user_id))::int as changes from counts');
    await expect(work).rejects.toMatchObject({ code: 'config_invalid', message: REASON });
    expect(asked).toHaveLength(16);
  });
});

async function change(userId: string): Promise<void> {
  await world.pool.query('update rows_of_counts set changes = changes + 1 where user_id = $1::bigint', [userId]);
  await world.pool.query('insert into tandem.events (user_id) values ($1)', [userId]);
}
