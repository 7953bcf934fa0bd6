import { afterAll, beforeAll, expect, it } from 'vitest';
import { bearer, createKeyedApi, type KeyedApi } from '../../keys/keyed-api.fixture.ts';

let api: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
  // Marks the trial of the version as passed.
  await api.pool.query(`update tandem.model_versions set parity = '{}'`);
});
afterAll(() => api?.close());

const put = (path: string, key: string, body: string, type = 'application/json') =>
  api.app.request(path, { method: 'PUT', body, headers: { 'content-type': type, ...bearer(key) } });

it('the audit names the key that moves a label, and a read-only key can neither move labels nor upload files', async () => {
  const { key: reads } = await api.key({ name: 'dashboard', scopes: ['models:read'] });
  const { key: writes } = await api.key({ name: 'ci', scopes: ['models:write'] });
  const label = '/v1/models/repurchase/labels/nightly';
  expect((await put(label, reads, '{"version":"1"}')).status).toBe(403);
  const archived = '/v1/models/repurchase/versions/1/archived';
  expect((await put(archived, reads, '{"archived":false}')).status).toBe(403);
  const file = `/v1/artifacts/${'a'.repeat(64)}`;
  expect((await put(file, reads, 'x', 'application/octet-stream')).status).toBe(403);
  expect((await put(label, writes, '{"version":"1"}')).status).toBe(200);
  const { rows } = await api.pool.query(`select actor, detail from tandem.audit where action = 'move_label'`);
  expect(rows).toEqual([{ actor: 'key:ci', detail: { label: 'nightly', from: null, to: 1 } }]);
});
