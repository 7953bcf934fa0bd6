import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE } from '@tandem/testing/compile-cache';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';

let database: TestDatabase;
let children: ChildProcess[];
beforeEach(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await database.drop();
});

interface Started {
  readonly child: ChildProcess;
  readonly said: { out: string; err: string };
  readonly ended: Promise<number | null>;
}

function start(file: string, env: Readonly<Record<string, string>>): Started {
  const child = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], {
    env: {
      PATH: process.env.PATH,
      ...COMPILE_CACHE,
      DATABASE_URL: database.url,
      REDIS_URL: inject('redisUrl'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const said = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said.err += text;
  });
  return { child, said, ended: new Promise((resolve) => child.once('close', resolve)) };
}

interface LogLine {
  readonly event: string;
  readonly url?: string;
  readonly error?: { readonly message: string };
}

const eventsOf = ({ said }: Started) =>
  said.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);

describe('the process', () => {
  it('logs an uncaught fault, finishes requests in progress, and exits with 1', async () => {
    const started = start('./faulty-main.fixture.ts', { PORT: '0' });
    await expect.poll(() => started.said.out, { timeout: 120_000 }).toContain('"api.started"');
    // A request in progress: its body arrives only after the fault.
    const body = '{"userIds":["1"]}';
    const ready = eventsOf(started).find(({ event }) => event === 'api.started');
    const socket = connect(Number(new URL(ready?.url ?? '').port), '127.0.0.1');
    let answer = '';
    socket.on('data', (part) => {
      answer += part;
    });
    socket.write(
      `POST /v1/predictions/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await expect.poll(() => answer).toContain('100 Continue');
    started.child.kill('SIGUSR2');
    await expect.poll(() => started.said.out).toContain('"api.stopping"');
    expect(eventsOf(started)).toContainEqual(
      expect.objectContaining({
        event: 'api.failed',
        level: 'error',
        error: expect.objectContaining({ message: 'a defect' }),
      }),
    );
    socket.write(body);
    expect(await started.ended).toBe(1);
    expect(answer).toContain('urn:tandem:problem:unknown_predictor');
    expect(eventsOf(started).at(-1)).toMatchObject({ event: 'api.stopped', reason: 'fault', inTime: true });
  });

  it('reports each error of the environment in one line without a stack, and exits with 1', async () => {
    const started = start('./main.ts', { LOG_LEVEL: 'loud', PORT: 'http', API_PROCESSES: '0' });
    expect(await started.ended).toBe(1);
    expect(started.said.out).toBe('');
    expect(started.said.err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^tandem: API_PROCESSES is "0", not a whole number from 1 to 64; /),
      expect.stringMatching(/^tandem: PORT is "http", not a whole number/),
      expect.stringMatching(/^tandem: LOG_LEVEL is "loud", not one of debug, info, warn, error; /),
    ]);
  });

  it('reports once what keeps several processes from starting, and exits with 1', async () => {
    const started = start('./main.ts', { API_PROCESSES: '3', PORT: '0', HOST: '192.0.2.1', API_KEYS: 'off' });
    expect(await started.ended).toBe(1);
    expect(started.said.err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^tandem: Cannot listen on 192\.0\.2\.1 port 0 /),
      'tandem: API process 1 did not start (exit code 1); its log above says why',
    ]);
  });
});
