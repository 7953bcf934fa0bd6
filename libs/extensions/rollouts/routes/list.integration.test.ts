import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutView } from '../wire/rollouts.ts';
import { createRolloutsApi, type RolloutsApi } from './rollouts-api.fixture.ts';

const NOBODY = '00000000-0000-0000-0000-000000000000';

let api: RolloutsApi;
let all: RolloutView[];
beforeAll(async () => {
  api = await createRolloutsApi();
  all = [];
  for (const _ of [1, 2, 3, 4, 5]) all.unshift(await api.start({ kind: 'shadow', version: '1' }));
});
afterAll(() => api?.close());

const page = async (query: string) =>
  (await (await api.get(`/v1/rollouts${query}`)).json()) as { rollouts: RolloutView[]; next: string | null };

describe('rollouts are listed', () => {
  it('newest first, in pages without gaps or duplicates', async () => {
    const paged: string[] = [];
    for (let next: string | null = ''; next !== null; ) {
      const found = await page(`?limit=2${next && `&before=${next}`}&predictor=repurchase`);
      paged.push(...found.rollouts.map(({ rollout }) => rollout));
      next = found.next;
    }
    expect(paged).toEqual(['5', '4', '3', '2', '1']);
  });

  it('a page with exactly the last rows has no next page', async () => {
    expect(await page('?limit=5')).toMatchObject({ next: null, rollouts: { length: 5 } });
    expect(await page('?limit=4')).toMatchObject({ next: all[3]?.id, rollouts: { length: 4 } });
  });

  it('and a single rollout has the same form as in the list', async () => {
    const { rollouts } = await page('');
    for (const rollout of rollouts) expect(await (await api.get(`/v1/rollouts/${rollout.id}`)).json()).toEqual(rollout);
    expect(rollouts.map(({ state }) => state)).toEqual(['preparing', ...Array(4).fill('aborted')]);
  });

  it.each([
    ['/v1/rollouts?limit=0', 422, 'limit'],
    ['/v1/rollouts?limit=101', 422, 'limit'],
    ['/v1/rollouts?limit=1e1', 422, 'limit'],
    ['/v1/rollouts?before=x', 422, 'before'],
    [`/v1/rollouts?before=${NOBODY}`, 404, 'before'],
    ['/v1/rollouts?predictor=nothing', 404, 'predictor'],
    ['/v1/rollouts?limit=1&limit=2', 400, 'limit'],
    [`/v1/rollouts/${NOBODY}`, 404, 'id'],
    [`/v1/rollouts/${NOBODY}/report`, 404, 'id'],
    [`/v1/rollouts/${NOBODY}/checks`, 404, 'id'],
    [`/v1/rollouts/${NOBODY}/overrides`, 404, 'id'],
  ])('%s is rejected with %i at %s', async (path, status, field) => {
    const response = await api.get(path);
    expect([response.status, ((await response.json()) as { field?: string }).field]).toEqual([status, field]);
  });
});
