/** /readyz of a real process names each failed part while it fails, whether the process needs the part or not. */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import type { OwnServer } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

let deployment: Deployment;
let postgres: OwnServer;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  if (!deployment.postgres) throw new Error('the test has no separate Postgres');
  postgres = deployment.postgres;
  await adoptCounts(deployment.pool, { users: 10, freshness: { liveTimeoutMs: 20_000 } });
  api = await deployment.startApi();
});
afterAll(() => deployment?.close());

const READY = { code: 200, status: 'ready', failing: [] };

it('is ready with every part', async () => {
  await untilReady(READY);
  const { parts } = (await (await fetch(`${api.url}/readyz`)).json()) as Body;
  expect(parts.map(({ name }) => name)).toEqual(expect.arrayContaining(['postgres', 'schema', 'redis', 'inference']));
});

it('without Redis the API is degraded and answers; with Redis it is ready again', async () => {
  await deployment.redis.end('SIGKILL');
  await untilReady({ code: 200, status: 'degraded', failing: ['redis'] });
  expect((await api.client.predict('count', '1')).answer).toMatchObject({ source: 'live' });
  await deployment.redis.start();
  await untilReady(READY);
  await expectTold('redis');
});

it('the API is not ready without a migration that it needs', async () => {
  const { pool } = deployment;
  const { rows } = await pool.query(
    'delete from tandem.migrations where name = (select max(name) from tandem.migrations) returning *',
  );
  await untilReady({ code: 503, status: 'not_ready', failing: ['schema'] });
  await pool.query(
    'insert into tandem.migrations select * from jsonb_populate_recordset(null::tandem.migrations, $1)',
    [JSON.stringify(rows)],
  );
  await untilReady(READY);
  await expectTold('schema');
});

it('without Postgres the API is not ready, and names the parts that need Postgres', async () => {
  await postgres.end('SIGQUIT');
  await untilReady({ code: 503, status: 'not_ready', failing: ['postgres', 'schema'] });
  await postgres.start();
  await untilReady(READY);
  await expectTold('postgres');
});

it('with a model that no child can load the API is degraded; it is ready once the file is restored', async () => {
  const { pool } = deployment;
  await pool.query("update tandem.artifacts set bytes = '\\x00' || bytes");
  const damaged = await deployment.startApi();
  await untilReady({ code: 200, status: 'degraded', failing: ['inference'] }, damaged);
  await damaged.logged('readiness.failed', ({ part }) => part === 'inference');
  const refused = await damaged.logged('inference.model_not_loaded');
  expect(refused.error).toMatch(/^The stored model file \w+ is damaged/);
  await pool.query('update tandem.artifacts set bytes = substring(bytes from 2)');
  await untilReady(READY, damaged);
  expect((await damaged.client.predict('count', '2')).answer).toMatchObject({ source: 'live' });
});

it('a process that is ending reports this to a request that had already begun', async () => {
  const socket = connect({ host: '127.0.0.1', port: api.port });
  let answer = '';
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text;
  });
  await new Promise<void>((resolve) => socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n', () => resolve()));
  // These bytes arrive before a request on a later connection is answered.
  await untilReady(READY);
  api.kill('SIGTERM');
  await api.logged('api.stopping');
  socket.write('\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer).toContain('{"status":"not_ready","parts":[{"name":"process","status":"draining"}]}');
  expect(await api.ended).toBe(0);
});

interface Body {
  readonly status: string;
  readonly parts: readonly { readonly name: string; readonly status: string }[];
}

function untilReady(expected: { code: number; status: string; failing: string[] }, { url } = api): Promise<unknown> {
  const wanted = JSON.stringify(expected);
  let last = '';
  return until(`/readyz answers ${wanted}`, async () => {
    const answer = await fetch(`${url}/readyz`);
    const { status, parts } = (await answer.json()) as Body;
    const failing = parts.filter((part) => part.status !== 'ok').map(({ name }) => name);
    last = JSON.stringify({ code: answer.status, status, failing });
    if (last !== wanted) throw new Error(last);
    return true;
  });
}

/** Expects one log line when the part began to fail, with the reason, and one when it worked again. */
async function expectTold(part: string): Promise<void> {
  const mended = await api.logged('readiness.mended', (line) => line.part === part);
  const failed = await api.logged('readiness.failed', (line) => line.part === part);
  expect(failed.error).toMatchObject({ message: expect.any(String) });
  expect(JSON.stringify(failed.error)).not.toContain('stack');
  expect(api.lines.indexOf(failed)).toBeLessThan(api.lines.indexOf(mended));
}
