/** Tests of the answers to malformed keys, keys with other scopes, and revoked keys. */
import { revokeApiKey, rotateApiKey } from '@tandem/offline-store/api-keys';
import { newKeyId, SCOPES, writeKey } from '@tandem/prediction/keys/api-key';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOneDirectly } from '../routes/predictions/read-one.ts';
import { startServer } from '../server.ts';
import { bearer, createKeyedApi, type KeyedApi, PEPPER } from './keyed-api.fixture.ts';

const READ = '/v1/predictions/repurchase/3';
const EVENT = { specversion: '1.0', id: '1', source: 's', type: 'order.placed', subject: '3' };
const CLOUD = { 'content-type': 'application/cloudevents+json' };
/** All endpoints that need no key, without those of extensions. */
const PUBLIC = ['get /livez', 'get /readyz', 'get /openapi.json', 'get /docs'];

let api: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
});
afterAll(() => api?.close());

interface Operation {
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly responses: Readonly<Record<string, unknown>>;
}
async function operations() {
  const { paths } = (await (await api.get('/openapi.json')).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method} ${path}`,
      ...operation,
      ask: (headers = {}) =>
        api.app.request(path.replace(/\{\w+\}/g, '3'), {
          method: method.toUpperCase(),
          headers: { 'content-type': 'application/json', ...headers },
          ...(method === 'post' ? { body: '{}' } : {}),
        }),
    })),
  );
}

const nameOf = ({ method, path }: { readonly method: string; readonly path: string }) => `${method} ${path}`;

describe('routes', () => {
  it('are all described and served, and are public only if this test lists them', async () => {
    const found = await operations();
    expect(new Set(found.map(({ name }) => name))).toEqual(
      // Only this test serves /metrics on this port: main.ts does not if keys are required.
      new Set(api.app.routes.map(({ method, path }) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, '{$1}')}`)),
    );
    const open = found.filter(({ security }) => security?.length === 0).map(({ name }) => name);
    const { app } = api.dependencies;
    const ofExtensions = app.extensions.flatMap(({ routes }) => routes(app)).map(({ route }) => nameOf(route));
    expect(open.filter((name) => !ofExtensions.includes(name)).sort()).toEqual([...PUBLIC, 'get /metrics'].sort());
    const needed = found.flatMap(({ security = [] }) => security.flatMap(({ apiKey = [] }) => apiKey));
    expect(found.filter(({ security }) => security === undefined)).toEqual([]);
    expect(new Set(needed)).toEqual(new Set(SCOPES));
  });

  it('answer 401 without a key and 403 to a key that lacks their scope, as declared', async () => {
    const reader = await api.key({ scopes: ['predictions:read'] });
    const writer = await api.key({ scopes: ['events:write'] });
    for (const { name, security = [], responses, ask } of await operations()) {
      if (security.length === 0) {
        expect([name, [401, 403].includes((await ask()).status)]).toEqual([name, false]);
        continue;
      }
      const scopes = security.flatMap(({ apiKey = [] }) => apiKey);
      expect([name, (await ask()).status]).toEqual([name, 401]);
      const other = scopes.includes('predictions:read') ? writer : reader;
      const refused = await ask(bearer(other.key));
      expect([name, refused.status]).toEqual([name, 403]);
      const { type, detail, error } = (await refused.json()) as Record<string, string>;
      expect(type).toBe('urn:tandem:problem:missing_scope');
      // The Open Inference Protocol has `error` in the place of a problem's `detail`.
      expect(detail ?? error).toContain(`The key lacks the scope ${scopes.join(' or ')}.`);
      // Several scopes in a challenge would all be required, and one is enough.
      const scope = scopes.length === 1 ? `, scope="${scopes[0]}"` : '';
      expect(refused.headers.get('www-authenticate')).toBe(`Bearer error="insufficient_scope"${scope}`);
      for (const status of ['401', '403', '429'])
        expect([name, Object.keys(responses)]).toEqual([name, expect.arrayContaining([status])]);
    }
  });

  it('accept a key that has their scope', async () => {
    const all = await api.key({ scopes: SCOPES });
    for (const { name, ask } of await operations()) {
      expect([name, [401, 403].includes((await ask(bearer(all.key))).status)]).toEqual([name, false]);
    }
  });
});

describe('a request', () => {
  it('without a valid key always gets the same answer', async () => {
    const good = await api.key();
    const revoked = await api.key();
    await revokeApiKey(api.pool, revoked.id);
    const expired = await api.key();
    await api.pool.query('update tandem.api_keys set expires_at = now() where id = $1', [expired.id]);
    const rotated = await api.key();
    await rotateApiKey(api.pool, rotated.id, { graceMs: 0, dropPrevious: false }, PEPPER);
    const gone = async (key: string) => (await api.get(READ, bearer(key))).status;
    for (const { key } of [revoked, expired, rotated]) await expect.poll(() => gone(key)).toBe(401);
    const tries: Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer ' },
      bearer('x'),
      bearer(writeKey('live', newKeyId())),
      bearer(writeKey('live', good.id)),
      bearer(`${good.key.slice(0, -1)}${good.key.endsWith('0') ? '1' : '0'}`),
      bearer(good.key.toUpperCase()),
      bearer(`${good.key},${good.key}`),
      { authorization: `Basic ${good.key}` },
      { authorization: good.key },
      { 'x-api-key': good.key },
      bearer('x'.repeat(7_000)),
      ...[revoked, expired, rotated].map(({ key }) => bearer(key)),
    ];
    const answers = new Set<string>();
    for (const headers of tries) {
      const response = await api.get(READ, headers);
      const told = [...response.headers].map((pair) => pair.join(': ')).sort();
      answers.add([response.status, ...told, await response.text()].join('\n'));
    }
    expect(answers.size).toBe(1);
    const [answer = ''] = answers;
    expect(answer).toMatch(/^401\n/);
    expect(answer).toContain('www-authenticate: Bearer\n');
    expect(answer).toContain('"type":"urn:tandem:problem:unauthorized"');
    expect((await api.get(READ, bearer(good.key))).status).toBe(200);
  });

  it('may write the authorization scheme in any case', async () => {
    const { key } = await api.key();
    for (const scheme of ['bEaReR', 'BEARER', 'bearer ']) {
      expect([scheme, (await api.get(READ, { authorization: `${scheme} ${key}` })).status]).toEqual([scheme, 200]);
    }
  });

  it('cannot send events with a read-only key, or read predictions with a key for events only', async () => {
    const reader = await api.key({ scopes: ['predictions:read'] });
    const writer = await api.key({ scopes: ['events:write'] });
    expect((await api.post('/v1/events', EVENT, { ...CLOUD, ...bearer(reader.key) })).status).toBe(403);
    const { rows } = await api.pool.query('select count(*)::int as events from tandem.events');
    expect(rows).toEqual([{ events: 0 }]);
    expect((await api.post('/v1/events', EVENT, { ...CLOUD, ...bearer(writer.key) })).status).toBe(202);
    expect((await api.get(READ, bearer(writer.key))).status).toBe(403);
  });

  it('is not authorized by a key in its URL', async () => {
    const { key } = await api.key();
    for (const name of ['key', 'api_key', 'access_token']) {
      expect((await api.get(`${READ}?${name}=${key}`)).status).toBe(401);
      const response = await api.get(`${READ}?${name}=${key}`, bearer(key));
      expect(response.status).toBe(400);
      expect(await response.text()).not.toContain(key);
    }
    expect((await api.get(`/v1/predictions/repurchase/${key}`)).status).toBe(401);
  });

  it('is rejected before its body is read', async () => {
    const body = new ReadableStream(
      {
        pull() {
          throw new Error('a read was sent');
        },
      },
      { highWaterMark: 0 },
    );
    const init = {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit;
    expect((await api.app.request('/v1/predictions/repurchase', init)).status).toBe(401);
  });

  it('logs the key’s name or the reason of the rejection, and no secret', async () => {
    const { key, id } = await api.key();
    const other = writeKey('live', id);
    await api.get(READ, bearer(key));
    await api.get(READ, bearer(other));
    await api.get(`/v1/predictions/repurchase/${key}`, bearer(key));
    const lines = api
      .logged()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(expect.objectContaining({ event: 'request.served', keyId: id, source: 'live' }));
    expect(lines).toContainEqual(
      expect.objectContaining({ status: 401, code: 'unauthorized', keyId: id, keyRefused: 'wrong secret' }),
    );
    for (const secret of [key.slice(29, 93), other.slice(29, 93)]) expect(api.logged()).not.toContain(secret);
  });
});

describe('a plain read on Node’s own request', () => {
  it('needs a key like any other request', async () => {
    const { key } = await api.key();
    const { key: limited } = await api.key({ requestsPerSecond: 0.001 });
    const { key: writer } = await api.key({ scopes: ['events:write'] });
    const { app } = api.dependencies;
    const direct = readOneDirectly(app);
    let taken = 0;
    const server = await startServer({
      fetch: api.app.fetch,
      direct(incoming, outgoing) {
        const isTaken = direct(incoming, outgoing);
        if (isTaken) taken++;
        return isTaken;
      },
      host: '127.0.0.1',
      port: 0,
    });
    try {
      const read = async (headers: Record<string, string>) => {
        const response = await fetch(`${server.url}${READ}`, { headers });
        return [response.status, response.headers.get('www-authenticate'), await response.text()];
      };
      const [status, challenge, body] = await read({});
      expect([status, challenge, body]).toEqual([401, 'Bearer', await (await api.get(READ)).text()]);
      expect(await read(bearer(writeKey('live', newKeyId())))).toEqual([status, challenge, body]);
      expect((await read(bearer(writer)))[0]).toBe(403);
      expect((await read(bearer(key)))[0]).toBe(200);
      expect((await read(bearer(limited)))[0]).toBe(200);
      expect((await read(bearer(limited)))[0]).toBe(429);
      expect(taken).toBe(6);
    } finally {
      await server.close(0);
    }
  });
});

describe('Postgres away', () => {
  it('leaves known keys valid, and new keys unknown', async () => {
    const own = await createKeyedApi();
    try {
      const { key } = await own.key();
      expect((await own.get(READ, bearer(key))).status).toBe(200);
      own.postgres.cut();
      const away = await own.get(READ, bearer(key));
      expect([401, 403]).not.toContain(away.status);
      expect((await own.get(READ, bearer(writeKey('live', newKeyId())))).status).toBe(401);
      await expect.poll(() => own.logged()).toContain('keys.not_refreshed');
    } finally {
      await own.close();
    }
  });
});
