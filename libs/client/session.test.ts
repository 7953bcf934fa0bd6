import { json } from 'node:stream/consumers';
import { listen, sendJson } from '@tandem/transport/test-server.fixture';
import { expect, test } from 'vitest';
import { createClient } from './create-client.ts';

/** Starts a service that counts the events of each user, and notes the token of each read. */
async function startService(history = 'aaaaaaaaaaaaaaaa') {
  const versions = new Map<string, number>();
  const demanded: string[] = [];
  const url = await listen(async (request, response) => {
    const [, , kind, predictor = '', user] = (request.url ?? '').split('/');
    const token = request.headers['prediction-min-context'] ?? 'none';
    if (kind === 'events') {
      const events = (await json(request)) as { subject: string }[];
      const results = events.map(({ subject }) => {
        const version = (versions.get(subject) ?? 0) + 1;
        versions.set(subject, version);
        return { userId: subject, contextToken: `${history}.${version}`, status: 'accepted' };
      });
      // The tokens are not in the order of their versions, as if one request overtook the other.
      return sendJson(response, { results: results.reverse() });
    }
    const body = user === undefined ? ((await json(request)) as { userId?: string; userIds?: string[] }) : {};
    const ids = body.userIds ?? [body.userId ?? user ?? ''];
    for (const id of ids) demanded.push(`${kind} ${id} ${token}`);
    const results = ids.map((userId) => ({ predictor, userId, prediction: { score: 1 } }));
    sendJson(response, body.userIds ? { results } : results[0]);
  });
  return { url, demanded };
}

const event = (subject: string) => ({ subject, type: 'order.placed' });

test('a read after events demands the newest context of its own user only', async () => {
  const { url, demanded } = await startService();
  const session = createClient({ url }).session();
  await session.sendEvents([event('1'), event('2'), event('1')]);
  await session.predict('churn', '1');
  await session.predict('churn', '2');
  await session.predict('churn', '3');
  await session.rank('offers', { userId: '1', candidates: [{ id: 'a', features: {} }] });
  expect(demanded).toEqual([
    'predictions 1 aaaaaaaaaaaaaaaa.2',
    'predictions 2 aaaaaaaaaaaaaaaa.1',
    'predictions 3 none',
    'rankings 1 aaaaaaaaaaaaaaaa.2',
  ]);
});

test('users without events share a request; a user with a token has a separate request', async () => {
  const { url, demanded } = await startService();
  const session = createClient({ url }).session();
  await session.sendEvents([event('1')]);
  await Promise.all(['1', '2', '3'].map((id) => session.predict('churn', id)));
  expect(demanded.sort()).toEqual(['predictions 1 aaaaaaaaaaaaaaaa.1', 'predictions 2 none', 'predictions 3 none']);
});

test('the caller’s token is used if it is newer', async () => {
  const { url, demanded } = await startService();
  const session = createClient({ url }).session({ '1': 'aaaaaaaaaaaaaaaa.5' });
  await session.predict('churn', '1', { minContext: 'aaaaaaaaaaaaaaaa.4' });
  await session.predict('churn', '1', { minContext: 'aaaaaaaaaaaaaaaa.6' });
  expect(demanded).toEqual(['predictions 1 aaaaaaaaaaaaaaaa.5', 'predictions 1 aaaaaaaaaaaaaaaa.6']);
});

test('tokens can be stored as plain data; an older token is ignored, a token of another history is not', async () => {
  const { url } = await startService();
  const client = createClient({ url });
  const first = client.session();
  await first.sendEvents([event('1')]);
  const later = client.session(JSON.parse(JSON.stringify(first.tokens())));
  later.remember('1', 'aaaaaaaaaaaaaaaa.0');
  expect(later.tokens()).toEqual({ '1': 'aaaaaaaaaaaaaaaa.1' });
  later.remember('1', 'bbbbbbbbbbbbbbbb.0');
  expect(later.tokens()).toEqual({ '1': 'bbbbbbbbbbbbbbbb.0' });
  later.forget('1');
  expect(later.tokens()).toEqual({});
});

test('sessions of one client are independent', async () => {
  const { url, demanded } = await startService();
  const client = createClient({ url });
  await client.session().sendEvents([event('1')]);
  await client.session().predict('churn', '1');
  await client.predict('churn', '1');
  expect(demanded).toEqual(['predictions 1 none', 'predictions 1 none']);
});
