import { createHash } from 'node:crypto';
import { BUILD_COMPARISON_EXAMPLE } from '@tandem/wire/builds';
import { expect, it } from 'vitest';
import { createClient } from './create-client.ts';

const file = Buffer.alloc(300_000, 'weights');
const artifact = createHash('sha256').update(file).digest('hex');

/** Returns a client that gets these answers in order, and the requests that it sends. */
function clientOf(answers: readonly (() => Response)[]) {
  const asked: { path: string; accept: string | null; body: unknown }[] = [];
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const body = init.body === undefined || init.body === null ? undefined : JSON.parse(String(init.body));
    asked.push({ path: new URL(String(input)).pathname, accept: new Headers(init.headers).get('accept'), body });
    const answer = answers[asked.length - 1];
    if (!answer) throw new Error('the test gave no answer for this request');
    return answer();
  };
  const sleep = () => Promise.resolve();
  return { asked, client: createClient({ url: 'http://tandem', fetch, sleep, random: () => 0 }) };
}

it('a damaged or incomplete file is requested again', async () => {
  const { asked, client } = clientOf([
    () => new Response(file.subarray(0, 100)),
    () => new Response(Buffer.alloc(300_000)),
    () => new Response(file),
  ]);
  expect(Buffer.from(await client.artifactFile(artifact)).equals(file)).toBe(true);
  expect(asked.map(({ path }) => path)).toEqual(Array(3).fill(`/v1/artifacts/${artifact}/file`));
  expect(asked[0]?.accept).toMatch(/^application\/octet-stream/);
});

it('a comparison is retried until no other model is being tried', async () => {
  const { asked, client } = clientOf([
    () => Response.json({ type: 'urn:tandem:problem:overloaded', title: 'Overloaded' }, { status: 503 }),
    () => Response.json(BUILD_COMPARISON_EXAMPLE),
  ]);
  expect(await client.compareBuild('a/b', '3', { users: 10 })).toEqual(BUILD_COMPARISON_EXAMPLE);
  expect(asked.map(({ path, body }) => [path, body])).toEqual(
    Array(2).fill(['/v1/models/a%2Fb/versions/3/comparison', { users: 10 }]),
  );
});
