import { describe, expect, it } from 'vitest';
import { type AskEngine, chooseServers } from './choose-servers.ts';

const ready: AskEngine = async () => ({ kind: 'ready', engine: 'Debian, engine 27.1' });
const refusing: AskEngine = async () => ({ kind: 'unusable', why: 'no container engine answers' });
const unasked: AskEngine = async () => {
  throw new Error('the engine was asked');
};
const urls = { TEST_DATABASE_URL: 'postgres://a:secret@h/d', TEST_REDIS_URL: 'redis://:secret@h' };

describe('the servers of a test run', () => {
  it('are containers of the official images if an engine has these images', async () => {
    expect(await chooseServers({}, ready)).toEqual({
      postgres: { kind: 'container', image: 'postgres:18-alpine' },
      redis: { kind: 'container', image: 'redis:8-alpine' },
      sentence:
        'tests on Postgres in a container of postgres:18-alpine and Redis in a container of redis:8-alpine (Debian, engine 27.1)',
    });
  });

  it('are containers of the images in the variables', async () => {
    const env = { TEST_POSTGRES_IMAGE: 'postgres:15', TEST_REDIS_IMAGE: 'valkey/valkey:8' };
    const asked: (readonly string[])[] = [];
    const choice = await chooseServers(env, async (images) => {
      asked.push(images);
      return { kind: 'ready', engine: 'x' };
    });
    expect([choice.postgres, choice.redis]).toEqual([
      { kind: 'container', image: 'postgres:15' },
      { kind: 'container', image: 'valkey/valkey:8' },
    ]);
    expect(asked).toEqual([['postgres:15', 'valkey/valkey:8']]);
  });

  it('are embedded if no engine can be used, and the reason is printed', async () => {
    expect(await chooseServers({}, refusing)).toEqual({
      postgres: { kind: 'embedded' },
      redis: { kind: 'embedded' },
      sentence: 'tests on Postgres embedded and Redis embedded (no container engine answers)',
    });
  });

  it('are embedded with TEST_SERVERS=embedded, without a request to an engine', async () => {
    const choice = await chooseServers({ TEST_SERVERS: 'embedded' }, unasked);
    expect(choice.sentence).toBe('tests on Postgres embedded and Redis embedded');
  });

  it('are the given servers first, and their passwords are not printed', async () => {
    const choice = await chooseServers({ ...urls, TEST_SERVERS: 'containers' }, unasked);
    expect(choice.postgres).toMatchObject({ kind: 'given', url: urls.TEST_DATABASE_URL });
    expect(choice.redis).toMatchObject({ kind: 'given', url: urls.TEST_REDIS_URL });
    expect(choice.sentence).toBe('tests on Postgres of TEST_DATABASE_URL and Redis of TEST_REDIS_URL');
  });

  it('start Postgres from TEST_POSTGRES_BIN, unless a URL is given', async () => {
    const env = { TEST_POSTGRES_BIN: '/usr/lib/postgresql/15/bin', TEST_SERVERS: 'embedded' };
    const choice = await chooseServers(env, unasked);
    expect(choice.postgres).toEqual({ kind: 'installed', binDir: env.TEST_POSTGRES_BIN });
    expect(choice.sentence).toBe('tests on Postgres of /usr/lib/postgresql/15/bin and Redis embedded');
    expect((await chooseServers({ ...env, ...urls }, unasked)).postgres.kind).toBe('given');
  });

  it('may be one given server and one container; an empty variable does not count', async () => {
    const env = { TEST_DATABASE_URL: '', TEST_REDIS_URL: urls.TEST_REDIS_URL };
    const choice = await chooseServers(env, async (images) => {
      expect(images).toEqual(['postgres:18-alpine']);
      return { kind: 'ready', engine: 'x' };
    });
    expect([choice.postgres.kind, choice.redis.kind]).toEqual(['container', 'given']);
  });

  it('fail with reason and remedy if containers are required and not available', async () => {
    await expect(chooseServers({ TEST_SERVERS: 'containers' }, refusing)).rejects.toThrow(
      /no container engine answers\. Start Docker, fetch the images once \(docker pull postgres:18-alpine; docker pull redis:8-alpine\)/,
    );
  });

  it('fail for an unknown value of TEST_SERVERS', async () => {
    await expect(chooseServers({ TEST_SERVERS: 'docker' }, unasked)).rejects.toThrow(
      'TEST_SERVERS is docker; set it to containers or embedded, or leave it out.',
    );
  });
});
