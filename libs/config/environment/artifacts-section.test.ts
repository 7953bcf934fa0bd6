import { expect, it } from 'vitest';
import { problemsOf } from '../predictor/config-problem.ts';
import { readEnvironment } from './environment.ts';
import { artifacts } from './environment-sections.ts';

const read = (env: Record<string, string>) => readEnvironment(env, { artifacts }).artifacts;
const KEYS = { ARTIFACT_ACCESS_KEY_ID: 'id', ARTIFACT_SECRET_ACCESS_KEY: 'secret' };

it('is null if no bucket is set', () => {
  expect(read({})).toBeNull();
});

it('takes bucket and prefix from the URL, and the endpoint of Amazon from the region', () => {
  const amazon = { bucket: 'models', region: 'eu-west-1', accessKeyId: 'id', secretAccessKey: 'secret' };
  const env = { ARTIFACT_URL: 's3://models/tandem/v1/', ARTIFACT_REGION: 'eu-west-1', ...KEYS };
  const endpoint = 'https://s3.eu-west-1.amazonaws.com';
  expect(read(env)).toEqual({ ...amazon, prefix: 'tandem/v1', endpoint });
  const own = { ...env, ARTIFACT_URL: 's3://models', ARTIFACT_ENDPOINT: 'http://minio:9000' };
  expect(read(own)).toMatchObject({ prefix: '', endpoint: 'http://minio:9000' });
});

it.each([
  ['another scheme', { ARTIFACT_URL: 'https://models/x', ...KEYS }, 'ARTIFACT_URL'],
  ['no key', { ARTIFACT_URL: 's3://models', ARTIFACT_ACCESS_KEY_ID: 'id' }, 'ARTIFACT_SECRET_ACCESS_KEY'],
])('refuses %s, and names the variable', (_, env, path) => {
  try {
    read(env);
    expect.unreachable();
  } catch (error) {
    expect(problemsOf(error).map((one) => one.path)).toEqual([path]);
  }
});
