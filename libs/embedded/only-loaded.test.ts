import type { LiveRequest } from '@tandem/freshness/live-predictor';
import { expect, test } from 'vitest';
import { mayInfer, onlyLoaded } from './only-loaded.ts';

const readers = [{ userId: '1', minVersion: 0, fresh: false }];
const request = (id: string, enabled = true) => ({ version: { id }, enabled, readers }) as unknown as LiveRequest;

test('a read of a version that is not loaded falls back to the next rung', async () => {
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
  // A predictor without live inference is not rejected.
  await live.predict(request('b', false));
  loaded.add('b');
  await live.predict(request('b'));
  expect(asked).toEqual(['a', 'b', 'b']);
});

test('an API may infer with any version, another process only with loaded versions, or with none', () => {
  const kept = { isLoaded: (id: string) => id === 'a' };
  const asked = (live: Parameters<typeof mayInfer>[0]) => ['a', 'b'].map((id) => mayInfer(live, kept)(id));
  expect([asked('any'), asked('loaded'), asked('none')]).toEqual([
    [true, true],
    [true, false],
    [false, false],
  ]);
});
