/** After SIGTERM an API answers the requests in progress, and ends. */
import { connect } from 'node:net';
import { adopt } from '@tandem/offline-store/adopt';
import { echoModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { askOnAndOn } from '../../libs/http-server/steady-client.fixture.ts';
import { startAudience } from './audience.fixture.ts';
import { COUNT, countPredictor, createCounts, loadedPredictor } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';
import { running } from './program.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 100;
/** A predictor with a slow feature query. */
const SLOW = 'slow';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment();
  const { pool } = deployment;
  await createCounts(pool, USERS);
  const slow = { model: echoModel('float32', 1), columns: ['changes'] as const, freshness: {}, batch: {} };
  await adopt(pool, {
    actor: 'test',
    predictors: [
      countPredictor({ freshness: { liveTimeoutMs: 10_000 } }),
      loadedPredictor({ name: SLOW, ...slow, where: 'pg_sleep(0.05) is not null' }),
    ],
  });
});
afterAll(() => deployment?.close());

it('SIGTERM during a slow read and an open stream: the read is answered, the stream ends, and the process exits with 0', async () => {
  const api = await deployment.startApi();
  const { id } = await api.client.runs.start({ predictor: COUNT, scope: 'all' });
  const stream = await fetch(`${api.url}/v1/runs/${id}/progress`);
  expect(stream.status).toBe(200);
  const streamed = stream.text();
  const children = api.children();
  const features = await blockFeatures();
  try {
    const slow = api.client.predict(COUNT, '1', { noCache: true });
    slow.catch(() => {});
    await until('the read waits', isSomebodyWaiting);

    api.kill('SIGTERM');
    await api.logged('api.stopping');
    await until('the port is closed', async () => !(await connects(api.port)));
    expect(await streamed).toMatch(/^event: progress$/m);
    expect(api.hasEnded()).toBe(false);
    await features.release();

    expect((await slow).answer).toMatchObject({ source: 'live', userId: '1', prediction: { score: 0 } });
    expect(await api.ended).toBe(0);
  } finally {
    await features.release();
  }
  expect(api.lines.at(-1)).toMatchObject({ event: 'api.stopped', inTime: true });
  await until('its inference children have ended', () => running(children).length === 0);
  expect(deployment.wire.violations).toEqual([]);
});

it('SIGTERM under readers that never pause: the process ends in time', async () => {
  const { pool, wire } = deployment;
  const api = await deployment.startApi();
  const random = seededRandom('drain');
  const audience = startAudience({ pool, wire, urls: [api.url], users: USERS, random, mayBeGone: true, readers: 40 });
  const busy = Array.from({ length: 10 }, () => keepBusy(api.port));
  await until('reads continue', () => audience.seen.fresh > 100 && busy.every(({ answers }) => answers() > 5));
  api.kill('SIGTERM');
  expect(await api.ended).toBe(0);
  await Promise.all([audience.stop(), ...busy.map(({ closed }) => closed)]);
  expect(api.lines.at(-1)).toMatchObject({ event: 'api.stopped', inTime: true });
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
});

it('SIGTERM under clients that send requests continuously: no connection is reset, and every request is answered', async () => {
  const api = await deployment.startApi();
  const clients = Array.from({ length: 20 }, (_, i) => askOnAndOn(api.port, `/v1/predictions/${COUNT}/${i + 1}`));
  await until('each was answered', () => clients.every(({ answers }) => answers() > 20));
  api.kill('SIGTERM');
  expect(await api.ended).toBe(0);
  expect((await Promise.all(clients.map(({ ended }) => ended))).flat()).toEqual([]);
  expect(api.lines.at(-1)).toMatchObject({ event: 'api.stopped', inTime: true });
});

/** Blocks reads of features until the returned lock is released. */
async function blockFeatures(): Promise<{ release(): Promise<void> }> {
  const client = await deployment.pool.connect();
  await client.query('begin');
  await client.query('lock table counts in access exclusive mode');
  let isReleased = false;
  return {
    async release() {
      if (isReleased) return;
      isReleased = true;
      await client.query('commit');
      client.release();
    },
  };
}

async function isSomebodyWaiting(): Promise<boolean> {
  const { rows } = await deployment.pool.query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rows.length > 0;
}

/** Opens a connection with many requests in progress at any time, so that it is never idle. */
function keepBusy(port: number): { answers(): number; readonly closed: Promise<void> } {
  const socket = connect({ host: '127.0.0.1', port });
  const request = `GET /v1/predictions/${SLOW}/1 HTTP/1.1\r\nHost: localhost\r\nCache-Control: no-cache\r\n\r\n`;
  let answers = 0;
  socket.once('connect', () => socket.write(request.repeat(4)));
  socket.on('data', (bytes) => {
    const arrived = bytes.toString('latin1').split('HTTP/1.1 200').length - 1;
    answers += arrived;
    if (socket.writable) socket.write(request.repeat(arrived));
  });
  socket.on('error', () => {});
  return { answers: () => answers, closed: new Promise((resolve) => socket.once('close', () => resolve())) };
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
