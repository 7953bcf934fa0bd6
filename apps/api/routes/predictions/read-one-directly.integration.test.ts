/**
 * Tests of reads over a socket. The direct path must give the same answers as Hono, except for the order of header
 * fields.
 */
import { connect } from 'node:net';
import { adopt } from '@tandem/offline-store/adopt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, repurchase, type TestApi, workOff } from '../../api.fixture.ts';
import { type RunningServer, startServer } from '../../server.ts';
import { readOneDirectly } from './read-one.ts';

let api: TestApi;
let byHono: RunningServer;
let direct: RunningServer;
let left = 0;

beforeAll(async () => {
  api = await createTestApi({}, undefined, { megabytes: 1 });
  const listen = readOneDirectly(api.dependencies.app);
  const at = { fetch: api.app.fetch, host: '127.0.0.1', port: 0 };
  byHono = await startServer(at);
  direct = await startServer({
    ...at,
    direct(incoming, outgoing) {
      const isTaken = listen(incoming, outgoing);
      if (!isTaken) left++;
      return isTaken;
    },
  });
  await runAll();
});
afterAll(async () => {
  api?.dependencies.app.runWatcher.close();
  await byHono?.close(0);
  await direct?.close(0);
  await api?.close();
});

async function runAll(): Promise<void> {
  const run = await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json();
  await workOff(api, (run as { id: string }).id);
}

const etagOf = (answer: string) => /^etag: (.*)\r$/im.exec(answer)?.[1] ?? '';

/** Returns all that the server writes, without the parts that differ between any two answers. */
function ask(server: RunningServer, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(request));
    let answer = '';
    socket.on('data', (piece) => {
      answer += piece;
    });
    socket.on('close', () => resolve(withoutTimes(answer)));
    socket.on('error', reject);
  });
}

/**
 * Sorts the header fields and converts their names to lower case, because HTTP leaves both free. Removes times, and the
 * content length, which depends on the age.
 */
function withoutTimes(answer: string): string {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  const [status = '', ...fields] = head.split('\r\n');
  const kept = fields
    .map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase()).replace(/; ttl=\d+/, ''))
    .filter((field) => !/^(date|server-timing|age|content-length):/.test(field));
  return [status, ...kept.sort(), '', body.replace(/"ageSeconds":\d+/, '')].join('\r\n');
}

const get = (path: string, headers = '', method = 'GET') =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`;
const READ = '/v1/predictions/repurchase/3';

describe('readOneDirectly', () => {
  it.each([
    ['a read', get(READ)],
    ['a read with demands', get(READ, 'Cache-Control: only-if-cached, max-age=0\r\n')],
    ['an unknown directive', get(READ, 'Cache-Control: max-age=soon\r\n')],
    ['a token of another history', get(READ, 'Prediction-Min-Context: 0123456789abcdef.1\r\n')],
    ['a malformed token', get(READ, 'Prediction-Min-Context: x\r\n')],
    ['an Accept that excludes JSON', get(READ, 'Accept: text/html\r\n')],
    ['an unknown user', get('/v1/predictions/repurchase/77')],
    ['another spelling', get('/v1/predictions/repurchase/03')],
    ['an unknown predictor', get('/v1/predictions/nobody/3')],
    ['a Host of another machine', get(READ).replace('localhost', 'evil.example')],
  ])('answers %s as Hono does', async (_, request) => {
    const before = left;
    const answer = await ask(direct, request);
    expect(left).toBe(before);
    expect(answer).toBe(await ask(byHono, request));
    expect(answer).toMatch(/^HTTP\/1\.1 [245]\d\d /);
  });

  it.each([
    ['an escape', get('/v1/predictions/repurchase/%33')],
    ['a query', get(`${READ}?x=1`)],
    ['a name that begins with a dot', get('/v1/predictions/repurchase/.5')],
    ['a HEAD', get(READ, '', 'HEAD')],
    ['a body', `${get(READ, 'Content-Length: 2\r\n')}{}`],
    ['another path', get('/v1/predictors')],
    ['a malformed Host', get(READ).replace('localhost', 'local host')],
  ])('leaves %s to Hono', async (_, request) => {
    const before = left;
    const answer = await ask(direct, request);
    expect(left).toBe(before + 1);
    expect(answer).toBe(await ask(byHono, request));
  });

  it('answers 304 while an answer is current, from memory too, and 200 after an event', async () => {
    const first = await ask(direct, get(READ));
    const etag = etagOf(first);
    for (let again = 0; again < 2; again++) {
      expect(await ask(direct, get(READ))).toBe(first);
      expect(await ask(direct, get(READ, `If-None-Match: ${etag}\r\n`))).toMatch(/^HTTP\/1\.1 304 /);
    }
    await api.pool.query(`insert into tandem.events (user_id, type) values ('3', 'page.viewed')`);
    // The event concerns no predictor, but the answer and its tag contain the user's context version.
    const second = await ask(direct, get(READ, `If-None-Match: ${etag}\r\n`));
    expect(second).toMatch(/^HTTP\/1\.1 200 /);
    expect(second).toMatch(/"source":"batch".*"contextVersion":1,"lastConcerningVersion":0,"predicted.*":0\}$/);
    await api.pool.query(`insert into tandem.events (user_id, type) values ('3', 'order.placed')`);
    expect(await ask(direct, get(READ))).toMatch(/"source":"live","reason":"context_newer"/);
  });

  it('renders an answer in memory again after a config change makes an earlier event concern the predictor', async () => {
    await api.pool.query(`insert into tandem.events (user_id, type) values ('5', 'page.viewed')`);
    await runAll();
    const read = get('/v1/predictions/repurchase/5');
    const before = await ask(direct, read);
    expect(await ask(direct, read)).toBe(before);
    expect(before).toMatch(/"contextVersion":1,"lastConcerningVersion":0,"predictedFromContextVersion":1\}$/);
    await adopt(api.pool, { predictors: [repurchase({ events: ['*'] })], actor: 'test' });
    const after = await ask(direct, read);
    expect(after).toMatch(/"contextVersion":1,"lastConcerningVersion":1,"predictedFromContextVersion":1\}$/);
    expect(etagOf(after)).not.toBe(etagOf(before));
  });
});
