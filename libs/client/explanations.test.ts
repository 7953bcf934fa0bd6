import { expect, test } from 'vitest';
import { createClient } from './create-client.ts';

/** Returns a client of a service that answers with the method and path of the request. */
function clientOf() {
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const { pathname, search } = new URL(String(input));
    return Response.json({ asked: `${init.method ?? 'GET'} ${pathname}${search}` });
  };
  return createClient({ url: 'http://tandem', fetch });
}

test.each([
  ['list', [], 'GET /v1/explanations'],
  [
    'list',
    [{ predictor: 'p', userId: 'a&b', limit: 3, before: '9' }],
    'GET /v1/explanations?predictor=p&userId=a%26b&limit=3&before=9',
  ],
  ['find', ['a/b'], 'GET /v1/explanations/a%2Fb'],
  ['replay', ['a/b'], 'POST /v1/explanations/a%2Fb/replay'],
  ['keep', ['p', '../4'], 'POST /v1/users/..%2F4/explanations/p'],
] as const)('%s %j requests %s', async (call, parts, asked) => {
  const { explanations } = clientOf();
  const ask = explanations[call] as (...parts: readonly unknown[]) => Promise<unknown>;
  expect(await ask(...parts)).toEqual({ asked });
});
