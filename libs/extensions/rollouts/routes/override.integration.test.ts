import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createExposureStore, findExposed } from '../statements/exposures.ts';
import { createRolloutsApi, type RolloutsApi } from './rollouts-api.fixture.ts';

const CANARY = { kind: 'canary', version: '1', steps: [1, 100], coverage: 'live' };

let api: RolloutsApi;
let id: string;
beforeAll(async () => {
  api = await createRolloutsApi();
});
beforeEach(async () => {
  ({ id } = await api.start(CANARY));
  await api.begin(id);
});
afterAll(() => api?.close());

const put = async (userId: string, variant: unknown = 'candidate') => {
  const response = await api.send('PUT', `/v1/rollouts/${id}/overrides/${encodeURIComponent(userId)}`, { variant });
  return [response.status, await response.json()];
};
const variantOf = async (userId: string) =>
  ((await (await api.get(`/v1/predictions/repurchase/${userId}`)).json()) as { variant: string }).variant;

describe('a user who is put into an arm by hand', () => {
  it('is served by it after the answer, until the assignment is removed', async () => {
    const [first = '', second = ''] = await usersOfStable();
    expect(await put(first)).toEqual([200, { overrides: [{ userId: first, variant: 'candidate' }] }]);
    expect(await Promise.all([variantOf(first), variantOf(second)])).toEqual(['candidate', 'stable']);
    expect(await (await api.get(`/v1/rollouts/${id}/overrides`)).json()).toMatchObject({ overrides: { length: 1 } });
    expect(await put(first, 'stable')).toMatchObject([200, { overrides: [{ variant: 'stable' }] }]);
    expect(await variantOf(first)).toBe('stable');
    for (const _ of ['once', 'and again']) {
      const gone = await api.send('DELETE', `/v1/rollouts/${id}/overrides/${first}`);
      expect([gone.status, await gone.json()]).toEqual([200, { overrides: [] }]);
    }
  });

  it('needs a canonical user id and an existing arm', async () => {
    expect(await put('042')).toMatchObject([422, { field: 'userId', remedy: 'send "42"' }]);
    expect(await put('a/b')).toMatchObject([422, { field: 'userId' }]);
    expect(await put('4', 'third')).toMatchObject([422, { field: 'variant', remedy: 'use one of stable, candidate' }]);
    expect(await put('4', null)).toMatchObject([422, { field: 'variant' }]);
    expect(await put('999')).toMatchObject([404, { type: 'urn:tandem:problem:unknown_user', field: 'userId' }]);
    expect(await (await api.get(`/v1/rollouts/${id}/overrides`)).json()).toEqual({ overrides: [] });
  });

  it('is one of at most 1,000, because every process keeps them in memory', async () => {
    await api.pool.query(
      `insert into tandem.arm_overrides select $1, n::text, 'candidate' from generate_series(1001, 2000) n`,
      [id],
    );
    expect(await put('1')).toMatchObject([422, { field: 'userId', remedy: 'remove some assignments by hand first' }]);
    await api.pool.query(`update tandem.arm_overrides set user_id = '2' where user_id = '1500'`);
    expect((await put('2', 'stable'))[0]).toBe(200);
  });

  it('needs a canary or an A/B test that is active', async () => {
    const refusal = [409, { remedy: 'use the id of an active canary or A/B test' }];
    await api.post(`/v1/rollouts/${id}/abort`);
    expect(await put('4')).toMatchObject(refusal);
    expect((await api.send('DELETE', `/v1/rollouts/${id}/overrides/4`)).status).toBe(409);
    ({ id } = await api.start({ kind: 'shadow', version: '1' }));
    expect(await put('4')).toMatchObject(refusal);
  });

  it('is not counted from then on, nor by reads before or by exposures that are written later', async () => {
    const store = createExposureStore(api.pool);
    const exposure = (userId: string, step: number) => ({
      ...{ rolloutId: id, step, arm: 'stable', userId, source: 'batch' as const, contextVersion: 0, at: 0 },
    });
    const counted = async () => (await findExposed(api.pool, id, 0)).exposed;
    await store.put([exposure('7', 0), exposure('8', 0)], 0);
    expect(await counted()).toEqual([{ arm: 'stable', source: 'batch', users: 2 }]);
    await put('7');
    expect(await counted()).toEqual([{ arm: 'stable', source: 'batch', users: 1 }]);
    await store.put([exposure('7', 0), exposure('9', 0)], 0);
    expect(await counted()).toEqual([{ arm: 'stable', source: 'batch', users: 2 }]);
  });

  it('does not delay other changes while a vacuum locks the exposures, and is counted out by the next request', async () => {
    const store = createExposureStore(api.pool);
    const exposure = { step: 0, arm: 'stable', userId: '7', source: 'batch' as const, contextVersion: 0, at: 0 };
    await store.put([{ rolloutId: id, ...exposure }], 0);
    const vacuum = await api.pool.connect();
    await vacuum.query('begin; lock table tandem.exposures in share update exclusive mode');
    const overridden = put('7');
    try {
      await expect.poll(() => waitsFor('lock table tandem.exposures')).toBe(true);
      expect((await api.post(`/v1/rollouts/${id}/hold`)).status).toBe(200);
      expect(await overridden).toMatchObject([503, { detail: expect.stringContaining('The assignment applies') }]);
    } finally {
      await vacuum.query('rollback');
      vacuum.release();
    }
    expect(await variantOf('7')).toBe('candidate');
    expect((await put('7'))[0]).toBe(200);
    expect((await findExposed(api.pool, id, 0)).exposed).toEqual([]);
  });

  it('is not named in the audit, which is kept after an erasure', async () => {
    await put('7');
    const { rows } = await api.pool.query(
      `select detail from tandem.audit where action = 'override_arm' order by seq desc limit 1`,
    );
    expect(rows).toEqual([{ detail: { rollout: expect.any(Number), id, arm: 'candidate' } }]);
  });
});

async function waitsFor(statement: string): Promise<boolean> {
  const { rows } = await api.pool.query(
    `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like $1`,
    [`${statement}%`],
  );
  return rows.length > 0;
}

/** Returns customers in the stable arm. The other arm has 1 %, so hardly any customer is in it. */
async function usersOfStable(): Promise<string[]> {
  const users: string[] = [];
  for (const userId of ['1', '2', '3', '4', '5']) if ((await variantOf(userId)) === 'stable') users.push(userId);
  return users;
}
