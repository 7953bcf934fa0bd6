/** Bundles the client into one file, as an application's bundler does. */
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { build, type OutputOptions } from 'rolldown';
import { expect, test } from 'vitest';
import type * as ClientPackage from './index.ts';

async function bundle(output: OutputOptions) {
  const input = join(import.meta.dirname, 'index.ts');
  const { output: files } = await build({ input, platform: 'neutral', write: false, output });
  return files;
}

test('the whole client is one file of at most 15 kB gzipped that imports nothing', async () => {
  const [chunk, ...others] = await bundle({ minify: true });
  expect(others).toEqual([]);
  expect([...chunk.imports, ...chunk.dynamicImports]).toEqual([]);
  const bytes = gzipSync(chunk.code).length;
  expect(bytes).toBeLessThanOrEqual(15_000);
  expect(bytes).toBeGreaterThan(2_000);
});

/** Runs the bundle in a context with only these globals. Returns a client, and the requests that it sends. */
async function createClientAmong(globals: object) {
  const [{ code }] = await bundle({ format: 'iife', name: 'tandem' });
  const sent: (RequestInit | undefined)[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    sent.push(init);
    const userIds: string[] = init?.body
      ? JSON.parse(String(init.body)).userIds
      : [String(input).split('/').at(-1) ?? ''];
    const results = userIds.map((userId) => ({ userId, prediction: { score: 1 }, ageSeconds: 0 }));
    return Response.json(userIds.length > 1 ? { results } : results[0]);
  };
  const { AbortController, DOMException, URLSearchParams, TextEncoder, TextDecoder } = globalThis;
  const common = { fetch, AbortController, DOMException, URLSearchParams, TextEncoder, TextDecoder };
  const context = createContext({ ...common, crypto, structuredClone, queueMicrotask, ...globals });
  const { createClient } = runInContext(`${code}\ntandem;`, context) as typeof ClientPackage;
  return { client: createClient({ url: '/api/tandem' }), sent };
}

test('it runs with only the globals that browsers and workers have', async () => {
  const { client, sent } = await createClientAmong({ setTimeout, clearTimeout });
  const answers = await Promise.all(['1', '2', '1'].map((id) => client.predict('churn', id)));
  expect(answers.map(({ answer }) => answer.userId)).toEqual(['1', '2', '1']);
  expect((await client.predict('churn', '3')).answer.userId).toBe('3');
  // Cloudflare Workers reject `redirect: 'error'`.
  expect(sent.map((init) => init?.redirect)).toEqual(['manual', 'manual']);
});

test.each([
  ['a browser', { setTimeout, clearTimeout }],
  ['Node, Bun and Deno', { setTimeout, clearTimeout, setImmediate }],
])('in %s, reads of one turn share a request, even after several awaits', async (_, globals) => {
  const { client, sent } = await createClientAmong(globals);
  const readAfter = async (awaits: number) => {
    for (let i = 0; i < awaits; i++) await undefined;
    return client.predict('churn', `${awaits}`);
  };
  await Promise.all([0, 2, 4, 6].map(readAfter));
  expect(sent).toHaveLength(1);
});

test('in a Cloudflare worker, reads of a turn share a request, and do not depend on a timer of another request', async () => {
  const cancelled = { setTimeout: () => 0, clearTimeout: () => {}, setImmediate: () => 0 };
  const navigator = { userAgent: 'Cloudflare-Workers' };
  const { client, sent } = await createClientAmong({ ...cancelled, navigator });
  const answers = await Promise.all(['1', '2', '1'].map((id) => client.predict('churn', id)));
  expect(answers.map(({ answer }) => answer.userId)).toEqual(['1', '2', '1']);
  expect(sent).toHaveLength(1);
});
