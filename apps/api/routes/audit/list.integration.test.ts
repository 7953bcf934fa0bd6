import { createRolloutsApi, type RolloutsApi } from '@tandem/rollouts/routes/rollouts-api.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bearer, createKeyedApi, type KeyedApi } from '../../keys/keyed-api.fixture.ts';

interface Page {
  readonly rows: readonly { number: string; actor: string; action: string; predictor: string; detail: object }[];
  readonly next: string | null;
}

let api: RolloutsApi;
let keyed: KeyedApi;
beforeAll(async () => {
  [api, keyed] = await Promise.all([createRolloutsApi(), createKeyedApi()]);
});
afterAll(() => Promise.all([api?.close(), keyed?.close()]));

const page = async (query: string) => (await (await api.get(`/v1/audit${query}`)).json()) as Page;

it('changes of a rollout are listed with actor and reason, newest first, in pages without gaps or duplicates', async () => {
  const { id } = await api.start({ kind: 'canary', version: '1', steps: [5, 100] });
  await api.begin(id);
  await api.post(`/v1/rollouts/${id}/hold`, { reason: 'a look at night' });
  await api.post(`/v1/rollouts/${id}/abort`);
  const { rows } = await page('?predictor=repurchase&limit=100');
  expect(rows.slice(0, 4)).toMatchObject([
    { actor: 'api', action: 'abort_rollout', detail: { reason: 'abort asked for', to: { state: 'aborted' } } },
    { actor: 'api', action: 'hold_rollout', detail: { reason: 'a look at night', from: { state: 'running' } } },
    { actor: 'tandem', action: 'begin_rollout', detail: { to: { arms: [{ name: 'candidate', percent: 5 }] } } },
    { actor: 'api', action: 'create_rollout', predictor: 'repurchase', detail: { id, plan: { steps: [5, 100] } } },
  ]);
  const paged: string[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const found = await page(`?limit=2&predictor=repurchase${next && `&before=${next}`}`);
    paged.push(...found.rows.map(({ number }) => number));
    next = found.next;
  }
  expect(paged).toEqual(rows.map(({ number }) => number));
  expect(await page('?predictor=another')).toEqual({ rows: [], next: null });
});

it.each([
  ['limit=0', 422, 'limit'],
  ['before=0', 422, 'before'],
  ['before=9999999999999999', 422, 'before'],
])('an invalid page is rejected: %s', async (query, status, field) => {
  const response = await api.get(`/v1/audit?${query}`);
  expect([response.status, ((await response.json()) as { field?: string }).field]).toEqual([status, field]);
});

it('the audit names the key that moves a rollout, and a read-only key can neither move rollouts nor read the audit', async () => {
  const { key: ops } = await keyed.key({ name: 'ops', scopes: ['rollouts:admin', 'models:read'] });
  const { key: looks } = await keyed.key({ name: 'dashboard', scopes: ['models:read'] });
  await keyed.pool.query(
    `insert into tandem.rollouts (predictor, number, kind, salt, plan, overlay_floor, created_by)
      values ('repurchase', 1, 'shadow', 's', '{"kind":"shadow","version":1,"share":1,"maxPerSecond":1}', 1, 'test')`,
  );
  const list = await keyed.app.request('/v1/rollouts', { headers: bearer(looks) });
  const { rollouts } = (await list.json()) as { rollouts: { id: string }[] };
  const abort = (key: string) =>
    keyed.app.request(`/v1/rollouts/${rollouts[0]?.id}/abort`, { method: 'POST', headers: bearer(key) });
  const audit = (key: string) => keyed.app.request('/v1/audit?limit=1', { headers: bearer(key) });
  expect([(await abort(looks)).status, (await audit(looks)).status]).toEqual([403, 403]);
  expect((await abort(ops)).status).toBe(200);
  expect(await (await audit(ops)).json()).toMatchObject({ rows: [{ actor: 'key:ops', action: 'abort_rollout' }] });
});
