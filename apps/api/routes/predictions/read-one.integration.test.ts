import { adopt } from '@tandem/offline-store/adopt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, repurchase, scoreOf, type TestApi, workOff } from '../../api.fixture.ts';

const path = '/v1/predictions/repurchase';
let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

/** Sends an event of the user that sets a feature. Returns its context token. */
const sendOrder = (userId: string, data?: Record<string, unknown>) => sendEvent(userId, 'order.placed', data);

async function sendEvent(userId: string, type: string, data?: Record<string, unknown>): Promise<string> {
  const event = { specversion: '1.0', id: crypto.randomUUID(), source: '/test', type, subject: userId, data };
  const response = await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
  const { results } = (await response.json()) as { results: { contextToken: string }[] };
  return results[0]?.contextToken ?? '';
}

describe('GET /v1/predictions/{predictor}/{userId}', () => {
  it('infers for a user without a stored prediction, then serves the stored answer', async () => {
    const first = await api.get(`${path}/1`);
    expect(first.status).toBe(200);
    expect(first.headers.get('cache-status')).toBe('tandem; fwd=uri-miss; stored; detail=missing');
    expect(await first.json()).toMatchObject({
      predictor: 'repurchase',
      userId: '1',
      prediction: { score: expect.closeTo(scoreOf(10, 1), 5) },
      source: 'live',
      reason: 'missing',
      modelVersion: '1',
      variant: 'stable',
      generation: null,
      ageSeconds: 0,
      contextVersion: 0,
      predictedFromContextVersion: 0,
    });
    const second = await api.get(`${path}/1`);
    expect(second.headers.get('cache-status')).toMatch(/^tandem; hit; ttl=3[56]\d\d$/);
    expect(second.headers.get('cache-control')).toBe('private, no-cache');
    expect(second.headers.get('age')).toMatch(/^\d+$/);
    expect(second.headers.get('server-timing')).toMatch(/^read;dur=[\d.]+$/);
    expect(await second.json()).toMatchObject({ source: 'live', reason: 'fresh' });
  });

  it('infers again after an event, with the values of the event', async () => {
    await api.get(`${path}/2`);
    await sendOrder('2', { orders: 7 });
    const after = await api.get(`${path}/2`);
    expect(after.headers.get('cache-status')).toBe('tandem; fwd=stale; stored; detail=context_newer');
    expect(await after.json()).toMatchObject({
      prediction: { score: expect.closeTo(scoreOf(20, 7), 5) },
      source: 'live',
      reason: 'context_newer',
      contextVersion: 1,
      predictedFromContextVersion: 1,
    });
  });

  it('accepts If-Match: *, and rejects every tag, because weak tags never match strongly', async () => {
    const etag = (await api.get(`${path}/3`)).headers.get('etag') ?? '';
    expect((await api.get(`${path}/3`, { 'if-match': '*' })).status).toBe(200);
    for (const named of [etag, etag.slice(2), '"other"']) {
      const response = await api.get(`${path}/3`, { 'if-match': named, 'if-none-match': etag });
      expect([named, response.status]).toEqual([named, 412]);
      expect(await response.json()).toMatchObject({
        type: 'urn:tandem:problem:precondition_failed',
        field: 'If-Match',
      });
    }
    expect((await api.get(`${path}/999999`, { 'if-match': etag })).status).toBe(404);
  });

  it('answers 304 to the tag of an answer only while that answer is current', async () => {
    await api.get(`${path}/3`);
    const etag = (await api.get(`${path}/3`)).headers.get('etag') ?? '';
    const known = await api.get(`${path}/3`, { 'if-none-match': `"other", ${etag}` });
    expect(known.status).toBe(304);
    expect(known.headers.get('etag')).toBe(etag);
    expect(await known.text()).toBe('');
    await sendOrder('3');
    expect((await api.get(`${path}/3`, { 'if-none-match': etag })).status).toBe(200);
    expect((await api.get(`${path}/4`, { 'if-none-match': etag })).status).toBe(200);
  });

  it('honours no-cache, only-if-cached, max-age and max-stale', async () => {
    const uncached = await api.get(`${path}/5`, { 'cache-control': 'only-if-cached' });
    expect(uncached.status).toBe(504);
    expect(await uncached.json()).toMatchObject({ type: 'urn:tandem:problem:not_cached' });
    await api.get(`${path}/5`);
    expect((await api.get(`${path}/5`, { 'cache-control': 'only-if-cached' })).status).toBe(200);
    const requested = await api.get(`${path}/5`, { 'cache-control': 'no-cache' });
    expect(requested.headers.get('cache-status')).toContain('fwd=request');
    expect(await requested.json()).toMatchObject({ source: 'live', reason: 'requested' });
    await sendOrder('5');
    const stale = await api.get(`${path}/5`, { 'cache-control': 'max-stale, only-if-cached' });
    expect(stale.headers.get('cache-status')).toBe('tandem; hit; detail=context_newer');
    expect(await stale.json()).toMatchObject({ source: 'stale', reason: 'context_newer' });
  });

  it('answers from the context of a token or a newer one, or says why it cannot', async () => {
    const token = await sendOrder('6');
    const read = (minContext: string) => api.get(`${path}/6`, { 'prediction-min-context': minContext });
    expect(await (await read(token)).json()).toMatchObject({ predictedFromContextVersion: 1 });
    const [history = ''] = token.split('.');
    expect((await read(`${history}.2`)).status).toBe(412);
    const foreign = await read(`${'0'.repeat(16)}.1`);
    expect(foreign.status).toBe(409);
    expect(await foreign.json()).toMatchObject({ type: 'urn:tandem:problem:history_changed' });
    expect((await read('soon')).status).toBe(400);
  });

  it.each([
    [`${path}/999`, 404, 'unknown_user', undefined],
    [`${path}/042`, 422, 'invalid_input', 'send "42"'],
    [`${path}/1%20`, 422, 'invalid_input', 'send "1"'],
    [`${path}/anna`, 422, 'invalid_input', expect.any(String)],
    [`${path}/${'9'.repeat(200)}`, 422, 'invalid_input', expect.any(String)],
    [`${path}/%ff`, 400, 'malformed_request', expect.any(String)],
    [`${path}/1?fresh=1`, 400, 'malformed_request', expect.stringContaining('no query parameters')],
  ])('rejects %s with a problem', async (url, status, code, remedy) => {
    const response = await api.get(url);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toMatchObject({
      type: `urn:tandem:problem:${code}`,
      status,
      ...(remedy ? { remedy } : {}),
    });
  });

  it('answers HEAD without a body, 406 if Accept excludes JSON, and 405 with Allow', async () => {
    const head = await api.app.request(`${path}/1`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await api.get(`${path}/1`, { accept: 'text/html' })).status).toBe(406);
    const put = await api.app.request(`${path}/1`, { method: 'PUT' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
    const options = await api.app.request(path, { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'OPTIONS, POST']);
  });
});

describe('the context versions of an answer', () => {
  /**
   * Returns the versions in the answers of a single and a bulk read: `source reason
   * contextVersion/lastConcerningVersion/predictedFrom`.
   */
  async function versionsOf(userId: string, headers: Record<string, string> = {}): Promise<string[]> {
    const one = await (await api.get(`${path}/${userId}`, headers)).json();
    const many = (await (await api.post(path, { userIds: [userId] }, headers)).json()) as { results: unknown[] };
    return [one, many.results[0]].map((answer) => {
      const { source, reason, contextVersion, lastConcerningVersion, predictedFromContextVersion } = answer as Versions;
      return `${source} ${reason} ${contextVersion}/${lastConcerningVersion}/${predictedFromContextVersion}`;
    });
  }

  interface Versions extends Record<'source' | 'reason', string> {
    readonly contextVersion: number;
    readonly lastConcerningVersion: number;
    readonly predictedFromContextVersion: number | null;
  }

  const twice = (versions: string) => [versions, versions];
  const noCache = { 'cache-control': 'no-cache' };
  const stored = { 'cache-control': 'max-stale, only-if-cached' };

  it('name the last version that concerns the predictor; only events that concern it make stored predictions stale', async () => {
    const run = await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json();
    await workOff(api, (run as { id: string }).id);
    expect(await versionsOf('8')).toEqual(twice('batch fresh 0/0/0'));
    await sendEvent('8', 'page.viewed');
    expect(await versionsOf('8')).toEqual(twice('batch fresh 1/0/0'));
    await sendEvent('8', 'order.placed');
    expect(await versionsOf('8', stored)).toEqual(twice('stale context_newer 2/2/0'));
    expect(await versionsOf('8')).toEqual(['live context_newer 2/2/2', 'live fresh 2/2/2']);
    await sendEvent('8', 'page.viewed');
    expect(await versionsOf('8')).toEqual(twice('live fresh 3/2/2'));
    expect(await versionsOf('8', noCache)).toEqual(twice('live requested 3/2/3'));
  });

  it('are those of the user in a default answer, which was predicted from no version', async () => {
    await adopt(api.pool, { predictors: [repurchase({ live: false, onLiveFailure: 'default' })], actor: 'test' });
    await sendEvent('9', 'order.placed');
    await sendEvent('9', 'page.viewed');
    expect(await versionsOf('9')).toEqual(twice('default context_newer 2/1/null'));
  });
});
