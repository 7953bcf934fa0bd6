import { PROBLEM_KINDS, problemType } from '@tandem/endpoints/problem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';
import { createApp } from './app.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        responses: Record<
          string,
          { content?: Record<string, { example?: unknown; examples?: unknown; schema?: unknown }> }
        >;
      }
    >
  >;
}
/** Media types other than JSON have no example. */
const BARE = new Set(['text/html', 'application/octet-stream']);
const document = async () => (await (await api.get('/openapi.json')).json()) as Document;

describe('the application', () => {
  it('describes exactly the endpoints that it serves, and gives an example for each answer', async () => {
    const { openapi, paths } = await document();
    expect(openapi).toBe('3.1.0');
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    const served = api.app.routes.map(
      ({ method, path }) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, '{$1}')}`,
    );
    expect(new Set(operations)).toEqual(new Set(served));
    const lacking = Object.values(paths).flatMap((methods) =>
      Object.values(methods).flatMap(({ operationId, responses }) =>
        Object.entries(responses).flatMap(([status, { content = {} }]) =>
          Object.entries(content)
            .filter(
              ([type, { example, examples, schema }]) =>
                !BARE.has(type) && !example && !examples && !JSON.stringify(schema).includes('$ref'),
            )
            .map(([type]) => `${operationId} ${status} ${type}`),
        ),
      ),
    );
    expect(lacking).toEqual([]);
  });

  it('documents every problem on a page that loads nothing from other hosts', async () => {
    const page = await api.get('/docs', { accept: 'text/html,*/*;q=0.1' });
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const html = await page.text();
    for (const code of Object.keys(PROBLEM_KINDS))
      expect(html).toContain(problemType(code as keyof typeof PROBLEM_KINDS));
    expect(html).toContain('/v1/predictions/{predictor}/{userId}');
    expect(html).not.toMatch(/<script|src=|https?:\/\/(?!www\.w3)[a-z]+\.[a-z]+[^"]*\.js/);
  });

  it('answers unknown paths with 404 and other methods with 405, as problems', async () => {
    for (const path of ['/', '/v1', '/v3/x', '/v1/predictions/repurchase/1/2', '/v1/%00', '//v1/runs', '/v1%2Fruns']) {
      const response = await api.get(path);
      expect([path, response.status, response.headers.get('content-type')]).toEqual([
        path,
        404,
        'application/problem+json',
      ]);
    }
    const response = await api.app.request('/v1/events', { method: 'DELETE' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'OPTIONS, POST']);
    expect((await api.app.request('/v1/runs', { method: 'OPTIONS' })).headers.get('allow')).toBe(
      'GET, HEAD, OPTIONS, POST',
    );
  });

  it('names METRICS_PORT at /metrics if its own port serves no metrics', async () => {
    const app = createApp({ ...api.dependencies.app, servesMetrics: false });
    const response = await app.request('/metrics');
    expect([response.status, await response.json()]).toMatchObject([
      404,
      {
        type: problemType('no_such_path'),
        remedy: expect.stringMatching(/^set METRICS_PORT, and read \/metrics on it/),
      },
    ]);
  });

  it('is live and ready, and names each part of its readiness', async () => {
    expect(await (await api.get('/livez')).json()).toEqual({ status: 'live' });
    await api.get('/v1/predictions/repurchase/1');
    const ready = async () => {
      const response = await api.get('/readyz');
      return [response.status, await response.json()];
    };
    // The start of the API does not wait for the load of its models without a limit.
    await expect.poll(ready).toEqual([
      200,
      {
        status: 'ready',
        parts: ['postgres', 'protocol', 'schema', 'redis', 'inference', 'database paths'].map((name) => ({
          name,
          status: 'ok',
        })),
      },
    ]);
  });

  it('is not ready if an additional part fails', async () => {
    const check = () => Promise.reject(new Error('all connections are taken'));
    const full = await createTestApi({}, undefined, undefined, {
      parts: [{ name: 'connections', isEssential: true, check }],
    });
    const ready = await full.get('/readyz');
    const { parts } = (await ready.json()) as { parts: unknown[] };
    expect([ready.status, parts.at(-1)]).toEqual([503, { name: 'connections', status: 'failed' }]);
    await full.close();
  });

  it('counts answers by source and reason, and their durations', async () => {
    await api.get('/v1/predictions/repurchase/1');
    await api.get('/v1/predictions/repurchase/999');
    const text = await (await api.get('/metrics', { accept: 'text/plain;version=0.0.4' })).text();
    expect(text).toMatch(
      /tandem_predictions_total\{predictor="repurchase",source="live",reason="fresh",app="api"\} [1-9]/,
    );
    expect(text).toMatch(/tandem_prediction_errors_total\{predictor="repurchase",code="unknown_user",app="api"\} 1/);
    expect(text).toMatch(
      /tandem_http_request_seconds_count\{app="api",method="get",route="readPrediction",status="200"\} \d/,
    );
    expect(text).toMatch(/tandem_authority_seconds_count\{app="api",outcome="ok"\} [1-9]/);
    expect(text).toContain('tandem_inference_saturation_ratio');
  });

  it('shows predictors with their policies, stable version and current generation', async () => {
    const expected = {
      name: 'repurchase',
      keyType: 'int8',
      modelVersion: '1',
      variant: 'stable',
      generation: null,
      generationExpired: null,
      freshness: { maxAgeSeconds: 3_600, onLiveFailure: 'stale', default: { score: 0.2 }, events: ['order.*'] },
      batch: { schedule: null, chunkSize: 4 },
    };
    expect(await (await api.get('/v1/predictors')).json()).toMatchObject({ predictors: [expected] });
    expect(await (await api.get('/v1/predictors/repurchase')).json()).toMatchObject(expected);
    expect((await api.get('/v1/predictors/nothing')).status).toBe(404);
  });
});
