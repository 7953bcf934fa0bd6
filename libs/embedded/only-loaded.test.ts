import type { LiveRequest } from '@tandem/freshness/live-predictor';
import { expect, test } from 'vitest';
import { onlyLoaded } from './only-loaded.ts';

const readers = [{ userId: '1', minVersion: 0, fresh: false }];
const request = (id: string, enabled = true) => ({ version: { id }, enabled, readers }) as unknown as LiveRequest;

test('a version that is not loaded is not asked for: the read goes on to the rungs below', async () => {
  const asked: string[] = [];
  const loaded = new Set(['a']);
  const live = onlyLoaded(
    {
      async predict({ version }) {
        asked.push(version.id);
        return new Map();
      },
    },
    { isLoaded: (id) => loaded.has(id) },
  );
  await live.predict(request('a'));
  const outcomes = await live.predict(request('b'));
  expect([...outcomes]).toEqual([['1', expect.objectContaining({ kind: 'failed', reason: 'overloaded' })]]);
  // Where the predictor does not infer live there is nothing to refuse.
  await live.predict(request('b', false));
  loaded.add('b');
  await live.predict(request('b'));
  expect(asked).toEqual(['a', 'b', 'b']);
});
