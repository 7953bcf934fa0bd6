import { createClient } from '@tandem/client/create-client';
import { pagePath } from '@tandem/transport/transport';
import { expect, it } from 'vitest';

const ANSWER = {
  id: 'r',
  checks: [],
  overrides: [{ userId: '4/2', variant: 'second' }],
  rows: [],
  rollouts: [],
  next: null,
};

/** Returns a client, and the requests that it sent: method, path with query, and body. */
function recorded() {
  const asked: unknown[] = [];
  const fetch: typeof globalThis.fetch = async (input, { method = 'GET', body } = {}) => {
    const { pathname, search } = new URL(String(input));
    asked.push([method, `${pathname}${search}`, ...(body ? [JSON.parse(String(body))] : [])]);
    return Response.json(ANSWER);
  };
  return { asked, client: createClient({ url: 'http://tandem', fetch }) };
}

it('each call requests its path, with ids and names escaped', async () => {
  const { asked, client } = recorded();
  const { rollouts } = client;
  await rollouts.start('a/b', { kind: 'canary', version: '3' });
  await rollouts.list({ predictor: 'a/b', limit: 2, before: 'r' });
  await rollouts.list();
  await rollouts.find('r/1');
  await rollouts.report('r');
  await rollouts.shadowReport('r');
  expect(await rollouts.checks('r', 5)).toEqual([]);
  await rollouts.checks('r');
  expect(await rollouts.overrides('r')).toEqual(ANSWER.overrides);
  await client.audit({ predictor: 'a&b', limit: 1 });
  expect(asked).toEqual([
    ['POST', '/v1/predictors/a%2Fb/rollouts', { kind: 'canary', version: '3' }],
    ['GET', '/v1/rollouts?predictor=a%2Fb&limit=2&before=r'],
    ['GET', '/v1/rollouts'],
    ['GET', '/v1/rollouts/r%2F1'],
    ['GET', '/v1/rollouts/r/report'],
    ['GET', '/v1/rollouts/r/shadow-report'],
    ['GET', '/v1/rollouts/r/checks?limit=5'],
    ['GET', '/v1/rollouts/r/checks'],
    ['GET', '/v1/rollouts/r/overrides'],
    ['GET', '/v1/audit?predictor=a%26b&limit=1'],
  ]);
});

it('a move sends only the given values; `override` sets the arm of a user, or null', async () => {
  const { asked, client } = recorded();
  await client.rollouts.move('r', 'hold');
  await client.rollouts.move('r', 'promote', { reason: 'won', variant: 'second', timeoutMs: 5_000 });
  await client.rollouts.override('r', '4/2', 'second');
  expect(await client.rollouts.override('r', '4/2', null)).toEqual(ANSWER.overrides);
  expect(asked).toEqual([
    ['POST', '/v1/rollouts/r/hold', {}],
    ['POST', '/v1/rollouts/r/promote', { reason: 'won', variant: 'second' }],
    ['PUT', '/v1/rollouts/r/overrides/4%2F2', { variant: 'second' }],
    ['DELETE', '/v1/rollouts/r/overrides/4%2F2'],
  ]);
});

it('the path of a page has its query, and no question mark without a query', () => {
  expect(pagePath('/v1/x', { limit: 0, before: undefined, predictor: 'ä b' })).toBe('/v1/x?limit=0&predictor=%C3%A4+b');
  expect(pagePath('/v1/x', {})).toBe('/v1/x');
});
