import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';
import { type RunningServer, startServer } from './server.ts';

let api: TestApi;
let server: RunningServer;
beforeAll(async () => {
  api = await createTestApi();
  server = await startServer({ fetch: api.app.fetch, host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await server?.close(0);
  await api?.close();
});

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
}

/** Sends a request as a browser does, with headers that programs cannot set with `fetch`. */
function send(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port: server.port, method, path, headers, agent: false },
      (answer) => {
        let text = '';
        answer.on('data', (part) => {
          text += part;
        });
        answer.on('end', () => {
          const isError =
            (answer.statusCode ?? 0) >= 400 &&
            /^application\/(problem\+)?json$/.test(answer.headers['content-type'] ?? '');
          resolve({ status: answer.statusCode, type: isError ? JSON.parse(text).type : undefined });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

const FORBIDDEN: Answer = { status: 403, type: 'urn:tandem:problem:forbidden' };

/** Returns every endpoint, with a value for each path parameter. */
function endpoints(): [method: string, path: string][] {
  return api.app.routes.map(({ method, path }) => [method, path.replace(/:\w+/g, '1')]);
}

describe('web pages', () => {
  it('of another origin cannot change anything', async () => {
    const changing = endpoints().filter(([method]) => method !== 'GET');
    expect(changing.length).toBeGreaterThanOrEqual(6);
    const page = { host: `127.0.0.1:${server.port}`, 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' };
    for (const [method, path] of changing) {
      expect([path, await send(method, path, page)]).toEqual([path, FORBIDDEN]);
      const { origin: _origin, ...withoutOrigin } = page;
      expect([path, await send(method, path, withoutOrigin)]).toEqual([path, FORBIDDEN]);
      const { 'sec-fetch-site': _site, ...withoutSite } = page;
      expect([path, await send(method, path, withoutSite)]).toEqual([path, FORBIDDEN]);
    }
  });

  it('of a host name that points at loopback cannot read anything', async () => {
    const rebound = { host: `evil.example:${server.port}`, 'sec-fetch-site': 'same-origin' };
    const everything: [string, string][] = [
      ...endpoints(),
      ['GET', '/nothing'],
      ['DELETE', '/v1/runs'],
      ['OPTIONS', '/v1/runs'],
    ];
    for (const [method, path] of everything) {
      expect([method, path, await send(method, path, rebound)]).toEqual([method, path, FORBIDDEN]);
    }
  });

  it('of the same origin, and programs, are served', async () => {
    const host = `localhost:${server.port}`;
    const cancel = '/v1/runs/0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11/cancel';
    const own = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
    const unknownRun = { status: 404, type: 'urn:tandem:problem:unknown_run' };
    expect(await send('POST', cancel, own)).toEqual(unknownRun);
    expect(await send('POST', cancel, { host })).toEqual(unknownRun);
    // A page of another origin may link to the documentation.
    expect((await send('GET', '/docs', { host, 'sec-fetch-site': 'cross-site' })).status).toBe(200);
  });
});
