import { describe, expect, it } from 'vitest';
import { createChunkLoads } from './load-chunk.ts';

const chunk = (users: number) => ({ runId: 'r', no: 1, users });

describe('loads under way', () => {
  it('let the next chunk begin unless they hold too many users', async () => {
    const loads = createChunkLoads({ mostUsers: 10, onFailed: () => {} });
    const [first, second] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
    await loads.begin(chunk(10), () => first.promise);
    let hasRoom = false;
    const waiting = loads
      .begin(chunk(1), () => second.promise)
      .then(() => {
        hasRoom = true;
      });
    await new Promise(setImmediate);
    expect(hasRoom).toBe(false);
    first.resolve(null);
    await waiting;
    second.resolve(null);
    await loads.settled();
  });

  it('that fail are reported, and free their room', async () => {
    const said: string[] = [];
    const loads = createChunkLoads({ mostUsers: 1, onFailed: ({ no }, why) => void said.push(`${no}: ${why}`) });
    await loads.begin(chunk(5), async () => 'Redis is away');
    await loads.begin(chunk(5), () => Promise.reject(new Error('broken')));
    await loads.settled();
    expect(said).toEqual(['1: Redis is away', '1: Error: broken']);
  });

  it('are awaited at the end', async () => {
    const loads = createChunkLoads({ onFailed: () => {} });
    const load = Promise.withResolvers<null>();
    await loads.begin(chunk(1), () => load.promise);
    let isOver = false;
    const settled = loads.settled().then(() => {
      isOver = true;
    });
    await new Promise(setImmediate);
    expect(isOver).toBe(false);
    load.resolve(null);
    await settled;
  });
});
