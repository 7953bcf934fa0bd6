/** The service's answers do not depend on the database's default settings. Each test sets one group of them. */

import { toProblem } from '@tandem/endpoints/problem';
import { CLOSED_HISTORY, HOSTILE_DEFAULTS, together } from '@tandem/offline-store/hostile-defaults.fixture';
import { beforeAll, expect, test } from 'vitest';
import { createTestApi } from './api.fixture.ts';
import { type Outcome, tellStory } from './hostile-defaults.fixture.ts';

let expected: Outcome;
beforeAll(async () => {
  expected = await tellStory({ name: 'none', settings: {} });
});

test('the story is as expected on a database with the usual defaults', () => {
  expect(expected).toMatchObject({
    run: { status: 200, body: { state: 'done', usersScored: 9 } },
    batch: { status: 200, body: { source: 'batch', reason: 'fresh' } },
    event: { status: 202, body: { results: [{ status: 'accepted', contextVersion: 1 }] } },
    again: { status: 202, body: { results: [{ status: 'duplicate', contextVersion: 1 }] } },
    live: { status: 200, body: { source: 'live', reason: 'context_newer' } },
    sql: [{ version: 1 }],
    'live after SQL': { status: 200, body: { source: 'live' } },
    refused: { code: 'TD422' },
    old: { code: 'TD422', message: expect.stringContaining('(30 days)') },
    'outcome again': { status: 202, body: { results: [{ status: 'duplicate' }] } },
    '/v1/processes': { body: { processes: [{ startedAt: '<time>', models: [{ state: 'ready' }] }] } },
    gone: { status: 404 },
  });
});

test.each(Object.entries(HOSTILE_DEFAULTS))('the answers are the same with other defaults of %s', async (name, all) => {
  expect(await tellStory(together(name, all))).toEqual(expected);
});

test('the answers are the same if the functions that name the history may not be called', async () => {
  expect(await tellStory(CLOSED_HISTORY)).toEqual(expected);
});

test('if a right is missing, the answer says how to find the grant and does not quote Postgres', async () => {
  const api = await createTestApi();
  const refused = await api.pool.query('set role pg_monitor; select from tandem.runs').catch((error: unknown) => error);
  await api.close();
  expect(refused).toMatchObject({ message: 'permission denied for schema tandem' });
  const { problem, headers } = toProblem(refused);
  expect(problem).toMatchObject({ status: 503, remedy: expect.stringContaining('tandem doctor') });
  expect(problem.detail).not.toContain('schema');
  expect(headers).toEqual({ 'retry-after': '1' });
});
