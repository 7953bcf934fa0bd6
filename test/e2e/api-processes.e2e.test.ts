/** Tests several API processes on one port. A crash drops only its own connections, and a restart drops none. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { adopt } from '@tandem/offline-store/adopt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { askOnAndOn } from '../../libs/http-server/steady-client.fixture.ts';
import { COUNT, countPredictor, createCounts } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { running } from './program.fixture.ts';
import { until } from './until.fixture.ts';

const PATH = `/v1/predictions/${COUNT}/1`;

/** The pause between requests of a client. Processes start several times faster than with clients that never pause. */
const REST_MS = 20;

/** The options of a request on a separate connection. */
const ALONE = { headers: { connection: 'close' } };

let deployment: Deployment;
let api: Api;
/** The file with the database URL, which each process reads at its start. */
let databaseUrlFile: string;

beforeAll(async () => {
  deployment = await createDeployment();
  await createCounts(deployment.pool, 100);
  await adopt(deployment.pool, {
    actor: 'test',
    predictors: [countPredictor({ freshness: { liveTimeoutMs: 20_000 } })],
  });
  databaseUrlFile = join(deployment.folder, 'database-url');
  writeFileSync(databaseUrlFile, deployment.environment.DATABASE_URL);
  const environment = { API_PROCESSES: '2', DATABASE_URL: '', DATABASE_URL_FILE: databaseUrlFile };
  api = await deployment.startApi({ environment });
  await api.logged('api.processes_started');
});
afterAll(() => deployment?.close());

it('registers two processes, and metrics and readiness of each process cover both', async () => {
  await expect.poll(registered).toEqual([...api.children()].sort());
  // On a busy machine, metrics lack a process that answers late, and readiness is `degraded` for a moment.
  for (let i = 0; i < 4; i++) await expect.poll(processesInMetrics).toEqual(['1', '2']);
  await until('both are ready', async () => {
    const ready = await fetch(`${api.url}/readyz`, ALONE);
    return ready.status === 200 && ((await ready.json()) as { status: string }).status === 'ready';
  });
});

it('connections go to the processes in turn', async () => {
  const clients = Array.from({ length: 8 }, () => askOnAndOn(api.port, PATH, REST_MS));
  await until('each was answered', () => clients.every(({ answers }) => answers() > 5));
  await expect.poll(readingProcesses).toEqual(new Set(['1', '2']));
  for (const client of clients) client.stop();
  expect((await Promise.all(clients.map(({ ended }) => ended))).flat()).toEqual([]);
});

it('a killed process is started again; the other process serves until then, and no connection hangs', async () => {
  const [killed = -1, other = -1] = api.children();
  // A stopped process accepts no connection. One connection waits for it, and the primary sends it no further ones.
  process.kill(killed, 'SIGSTOP');
  const answers = Array.from({ length: 6 }, () => askOnce(api.port));
  await until(
    'the other connections are answered',
    async () => (await settled(answers)).filter((end) => end === 200).length === 5,
  );
  process.kill(killed, 'SIGKILL');
  expect((await Promise.all(answers)).sort()).toEqual([200, 200, 200, 200, 200, 'closed']);
  expect(await askOnce(api.port)).toBe(200);
  await api.logged('api.process_ended', ({ how }) => String(how).includes('SIGKILL'));
  await until('two processes run again', () => api.children().length === 2 && !api.children().includes(killed));
  expect(api.children()).toContain(other);
  await until('both answer', async () => {
    const text = await metrics();
    return text.includes('process="1"') && text.includes('process="2"');
  });
});

it('the primary survives if a process is killed before the primary sends a connection to it', async () => {
  const [killed = -1] = api.children();
  api.kill('SIGSTOP');
  // After SIGCONT the primary sees the connections first, and then the end of the process.
  const sockets = Array.from({ length: 4 }, () => connect({ host: '127.0.0.1', port: api.port }));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const answers = sockets.map(answerOn);
  process.kill(killed, 'SIGKILL');
  await until('the process has ended', () => /\) Z/.test(readFileSync(`/proc/${killed}/stat`, 'latin1')));
  api.kill('SIGCONT');
  // A connection that is sent to the dead process is closed.
  expect((await Promise.all(answers)).filter((end) => end === 200).length).toBeGreaterThanOrEqual(3);
  expect(api.hasEnded()).toBe(false);
  await until('two processes run again', async () => {
    const text = await metrics();
    return text.includes('process="1"') && text.includes('process="2"') && !api.children().includes(killed);
  });
});

it('after SIGUSR2 with invalid settings, the running processes continue', async () => {
  const before = [...api.children()];
  writeFileSync(databaseUrlFile, 'nowhere');
  api.kill('SIGUSR2');
  const { process, error } = await api.logged('api.process_not_replaced');
  expect([process, JSON.stringify(error)]).toEqual([
    'process 1',
    expect.stringContaining('API process 1 did not start (exit code 1); its log above says why'),
  ]);
  expect(api.children()).toEqual(before);
  expect(await askOnce(api.port)).toBe(200);
  writeFileSync(databaseUrlFile, deployment.environment.DATABASE_URL);
});

it('SIGUSR2 with valid settings replaces one process after the other and loses no request', async () => {
  const before = api.children();
  const clients = Array.from({ length: 12 }, () => askOnAndOn(api.port, PATH, REST_MS));
  await until('each was answered', () => clients.every(({ answers }) => answers() > 5));
  api.kill('SIGUSR2');
  await api.logged('api.processes_restarted');
  expect(running(before)).toEqual([]);
  const answered = clients.map(({ answers }) => answers());
  await until('each is answered again', () => clients.every(({ answers }, i) => answers() > (answered[i] ?? 0) + 5));
  for (const client of clients) client.stop();
  expect((await Promise.all(clients.map(({ ended }) => ended))).flat()).toEqual([]);
  await until('the register knows the new ones', async () => {
    return (await registered()).join() === [...api.children()].sort().join();
  });
});

it('SIGTERM ends all processes with exit code 0', async () => {
  const children = [...api.children()];
  const clients = Array.from({ length: 8 }, () => askOnAndOn(api.port, PATH, REST_MS));
  await until('each was answered', () => clients.every(({ answers }) => answers() > 5));
  api.kill('SIGTERM');
  expect(await api.ended).toBe(0);
  expect((await Promise.all(clients.map(({ ended }) => ended))).flat()).toEqual([]);
  expect(running(children)).toEqual([]);
});

const metrics = async () => (await fetch(`${api.url}/metrics`, ALONE)).text();

async function processesInMetrics(): Promise<readonly (string | undefined)[]> {
  const found = (await metrics()).matchAll(/^process_start_time_seconds\{app="api",process="(\d)"\}/gm);
  return [...found].map(([, number]) => number).sort();
}

/** Returns the numbers of the processes that have answered reads. */
async function readingProcesses(): Promise<ReadonlySet<string | undefined>> {
  const found = (await metrics()).matchAll(/^tandem_predictions_total\{.*process="(\d)"\} \d+/gm);
  return new Set([...found].map(([, number]) => number));
}

/** Returns the process ids that are registered in the database. */
async function registered(): Promise<readonly number[]> {
  const { rows } = await deployment.pool.query<{ pid: number }>(
    `select pid from tandem.processes where kind = 'api' and seen_at > clock_timestamp() - interval '15 s'`,
  );
  return rows.map(({ pid }) => pid).sort();
}

/** Sends one request on a new connection. Returns its status, or `closed` if the connection ends without an answer. */
function askOnce(port: number): Promise<number | 'closed'> {
  return answerOn(connect({ host: '127.0.0.1', port }));
}

function answerOn(socket: Socket): Promise<number | 'closed'> {
  return new Promise((resolve) => {
    let answer = '';
    socket.write(`GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? Number.NaN) || 'closed'));
  });
}

/** Returns the results that are available now, and null for the others. */
async function settled<T>(all: readonly Promise<T>[]): Promise<readonly (T | null)[]> {
  return Promise.all(
    all.map((one) => Promise.race([one, new Promise<null>((resolve) => setImmediate(resolve, null))])),
  );
}
