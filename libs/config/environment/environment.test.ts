import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { problemsOf } from '../predictor/config-problem.ts';
import { readEnvironment, type Section, type Variables } from './environment.ts';
import {
  apiKey,
  apiKeys,
  database,
  furtherPorts,
  http,
  inference,
  log,
  redis,
  worker,
} from './environment-sections.ts';

const servers = { DATABASE_URL: 'postgres://u:p@db/shop', REDIS_URL: 'redis://cache' };
const all = { database, redis, http, further: furtherPorts(['OTHER_PORT', 'THIRD_PORT']), inference, worker, log };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-environment-'));
  await writeFile(join(folder, 'url'), 'postgres://u:p@db/shop\n');
  await writeFile(join(folder, 'empty'), '\n');
});
afterAll(() => rm(folder, { recursive: true }));

function problemsIn(env: Variables): string[] {
  try {
    readEnvironment(env, all);
    return [];
  } catch (error) {
    return problemsOf(error).map(({ file, path, problem, remedy }) => `${file}: ${path}: ${problem} → ${remedy}`);
  }
}

test('an app reads the sections that it composes, with their defaults', () => {
  expect(readEnvironment(servers, { database, redis, http, log, worker })).toEqual({
    database: { url: servers.DATABASE_URL, featuresUrl: servers.DATABASE_URL },
    redis: { url: servers.REDIS_URL, queueUrl: servers.REDIS_URL },
    http: { host: '127.0.0.1', port: 8080, metricsPort: null },
    log: { level: 'info' },
    worker: { chunkConcurrency: 3 },
  });
  const sizes = readEnvironment({}, { inference }).inference;
  expect(sizes).toMatchObject({ memoryMb: 512, queueLimit: 10_000, batchLimit: 256, threads: 1 });
  expect(sizes.processes).toBeGreaterThanOrEqual(1);
});

test('every variable that is set is read, and an empty value counts as not set', () => {
  const env = {
    ...servers,
    QUEUE_REDIS_URL: 'rediss://queue:6380',
    FEATURES_DATABASE_URL: 'postgres://features:p@db/shop',
    HOST: '0.0.0.0',
    PORT: '0',
    METRICS_PORT: '9090',
    OTHER_PORT: '8001',
    INFERENCE_PROCESSES: '3',
    INFERENCE_MEMORY_MB: '1024',
    INFERENCE_QUEUE_LIMIT: '10',
    INFERENCE_BATCH_LIMIT: '1',
    CHUNK_CONCURRENCY: ' 4 ',
    LOG_LEVEL: 'WARN',
  };
  expect(readEnvironment(env, all)).toEqual({
    database: { url: servers.DATABASE_URL, featuresUrl: env.FEATURES_DATABASE_URL },
    redis: { url: servers.REDIS_URL, queueUrl: env.QUEUE_REDIS_URL },
    http: { host: '0.0.0.0', port: 0, metricsPort: 9090 },
    further: [8001, null],
    inference: { processes: 3, memoryMb: 1024, queueLimit: 10, batchLimit: 1, threads: 1 },
    worker: { chunkConcurrency: 4 },
    log: { level: 'warn' },
  });
  expect(readEnvironment({ PORT: '', HOST: ' ' }, { http }).http.port).toBe(8080);
});

test('a secret may come from a file', () => {
  const env = { DATABASE_URL_FILE: join(folder, 'url') };
  expect(readEnvironment(env, { database }).database.url).toBe('postgres://u:p@db/shop');
});

test('all problems are reported at once, each with variable, value and remedy', () => {
  const problems = problemsIn({
    PORT: '99999',
    HOST: 'a b',
    LOG_LEVEL: 'wran',
    CHUNK_CONCURRENCY: '1.5',
    METRICS_PORT: 'x',
  });
  expect(problems).toEqual([
    'environment: DATABASE_URL: is not set → set it, such as DATABASE_URL=postgres://user:password@localhost:5432/database',
    'environment: REDIS_URL: is not set → set it, such as REDIS_URL=redis://localhost:6379',
    'environment: HOST: is "a b", not a host name or address → write 127.0.0.1, 0.0.0.0, :: or a name',
    'environment: PORT: is "99999", not a whole number from 0 to 65535 → write one, or unset it',
    'environment: METRICS_PORT: is "x", not a whole number from 0 to 65535 → write one, or unset it',
    'environment: CHUNK_CONCURRENCY: is "1.5", not a whole number from 1 to 256 → write one, or unset it',
    'environment: LOG_LEVEL: is "wran", not one of debug, info, warn, error → write warn',
  ]);
});

test.each<[string, Variables, string]>([
  [
    'another protocol',
    { DATABASE_URL: 'mysql://u:hunter2@db/shop' },
    'DATABASE_URL: is mysql://u:***@db/shop, which does not start with postgres:// or postgresql://',
  ],
  [
    'a value that is not a URL, and may be a password',
    { REDIS_URL: 'hunter2' },
    'REDIS_URL: is not a URL that starts with redis:// or rediss:// or redis+cluster:// or rediss+cluster:// or redis+sentinel:// or rediss+sentinel:// and names a host (its value is not shown)',
  ],
  [
    'another protocol; the remedy contains no password',
    { DATABASE_URL: 'mysql://u:hunter2@db/shop' },
    '→ write it like postgres://user:password@localhost:5432/database\n',
  ],
  [
    'several Redis hosts without a mode',
    { REDIS_URL: 'redis://:hunter2@a:1,b:2' },
    'REDIS_URL: names several hosts → write redis+cluster:// or redis+sentinel:// in front of them\n',
  ],
  [
    'sentinels without the name of the primary',
    { QUEUE_REDIS_URL: 'redis+sentinel://:hunter2@a:1' },
    'QUEUE_REDIS_URL: names no primary → write its name in the sentinels as the path, such as /mymaster\n',
  ],
  ['a password with a #', { DATABASE_URL: 'postgres://u:hunter2#x@db/shop' }, 'percent-encode special characters'],
  [
    'both forms',
    { DATABASE_URL_FILE: '/etc/hostname' },
    'DATABASE_URL: is set, and so is DATABASE_URL_FILE → unset one',
  ],
  [
    'no such file',
    { DATABASE_URL: '', DATABASE_URL_FILE: '/nowhere/url' },
    'DATABASE_URL_FILE: names /nowhere/url, which cannot be read (ENOENT)',
  ],
  [
    'a misspelt variable',
    { DATABASE_URL: '', DATABSE_URL: 'x' },
    'DATABSE_URL is set, which Tandem does not read; if you meant it for Tandem, rename it to DATABASE_URL',
  ],
  ['the port of the API for another', { OTHER_PORT: '8080' }, 'OTHER_PORT: is 8080, the same as PORT → choose another'],
  ['one further port twice', { OTHER_PORT: '1', THIRD_PORT: '1' }, 'THIRD_PORT: is 1, the same as OTHER_PORT → choose'],
  ['one port twice', { METRICS_PORT: '8080' }, 'METRICS_PORT: is 8080, the same as PORT → choose another port'],
])('%s is refused, and no secret is shown', (_, env, message) => {
  const problems = problemsIn({ ...servers, ...env });
  expect(problems).toHaveLength(1);
  expect(`${problems[0]}\n`).toContain(message);
  expect(problems[0]).not.toContain('hunter2');
});

test('less memory than an inference process needs is refused, with the name of the variable', () => {
  expect(readEnvironment({ INFERENCE_MEMORY_MB: '256' }, { inference }).inference.memoryMb).toBe(256);
  expect(problemsIn({ ...servers, INFERENCE_MEMORY_MB: '255' })).toEqual([
    'environment: INFERENCE_MEMORY_MB: is "255", not a whole number from 256 to 1048576 → write one, or unset it',
  ]);
});

test('an empty secret file is refused', () => {
  const env = { REDIS_URL: servers.REDIS_URL, DATABASE_URL_FILE: join(folder, 'empty') };
  expect(problemsIn(env)).toEqual([
    `environment: DATABASE_URL_FILE: names ${join(folder, 'empty')}, which is empty → write the value into the file`,
  ]);
});

test('whether keys are required depends on the published address, by default HOST', () => {
  const read = (env: Variables) => readEnvironment(env, { apiKeys }).apiKeys;
  expect(read({})).toEqual({ mode: 'auto', pepper: null, publishedOn: '127.0.0.1' });
  expect(read({ HOST: '0.0.0.0' }).publishedOn).toBe('0.0.0.0');
  const pepper = 'p'.repeat(32);
  expect(read({ HOST: '0.0.0.0', PUBLISHED_ON: '127.0.0.1', API_KEYS: 'required', API_KEY_PEPPER: pepper })).toEqual({
    mode: 'required',
    pepper,
    publishedOn: '127.0.0.1',
  });
  expect(readEnvironment({ TANDEM_API_KEY: 'tandem_live_x' }, { apiKey }).apiKey).toBe('tandem_live_x');
  expect(readEnvironment({}, { apiKey }).apiKey).toBeNull();
});

test('host names are separated by spaces, and an invalid name is reported', () => {
  const hosts: Section<readonly string[]> = (read) => read.hosts('TANDEM_HOSTS');
  const read = (TANDEM_HOSTS: string) => readEnvironment({ TANDEM_HOSTS }, { hosts }).hosts;
  expect([read(''), read(' tandem.internal  api ')]).toEqual([[], ['tandem.internal', 'api']]);
  expect(() => read('api,http://tandem.internal')).toThrow('TANDEM_HOSTS');
});

test('a short pepper is refused, and not shown', () => {
  try {
    readEnvironment({ API_KEY_PEPPER: 'hunter2' }, { apiKeys });
    expect.unreachable();
  } catch (error) {
    const [problem] = problemsOf(error);
    expect(problem).toMatchObject({ path: 'API_KEY_PEPPER', problem: expect.stringContaining('has 7 characters') });
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  }
});
