import { describe, expect, it } from 'vitest';
import { type ExpiredRows, type Expiry, expire } from './expire.ts';

/** Returns an expiry with this many batches of ten rows. */
function table(name: string, batches: number, taken: string[] = []): Expiry {
  let left = batches;
  return {
    name,
    async expireSome(): Promise<ExpiredRows> {
      taken.push(name);
      left--;
      return { rows: 10, isDone: left <= 0 };
    },
  };
}

const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('expiry', () => {
  it('removes batches until nothing is left, table by table in turn', async () => {
    const taken: string[] = [];
    const expiries = [table('a', 3, taken), table('b', 1, taken), table('c', 2, taken)];
    expect(await expire(expiries, { pause })).toEqual({ rowsExpired: 60, errors: [] });
    expect(taken.slice(0, 3).sort()).toEqual(['a', 'b', 'c']);
    expect(taken.slice().sort().join('')).toBe('aaabcc');
  });

  it('names a table that fails, and still expires the others', async () => {
    const failing: Expiry = { name: 'b', expireSome: () => Promise.reject(new Error('no room')) };
    expect(await expire([table('a', 2), failing, table('c', 2)], { pause })).toEqual({
      rowsExpired: 40,
      errors: ['b: no room'],
    });
  });

  it('continues with the other tables while one is slow', async () => {
    const { promise, resolve } = Promise.withResolvers<ExpiredRows>();
    const taken: string[] = [];
    const last: Expiry = {
      name: 'last',
      async expireSome() {
        resolve({ rows: 1, isDone: true });
        return { rows: 1, isDone: true };
      },
    };
    const slow: Expiry = { name: 'slow', expireSome: () => promise };
    expect(await expire([slow, table('a', 3, taken), table('b', 3, taken), last], { pause })).toEqual({
      rowsExpired: 62,
      errors: [],
    });
  });

  it('names unfinished tables when its time is over', async () => {
    const { rowsExpired, errors } = await expire([table('a', 1), table('endless', Number.POSITIVE_INFINITY)], {
      pause,
      roundMs: 1_000,
    });
    expect(rowsExpired).toBeGreaterThan(10);
    expect(errors).toEqual(['endless: not caught up after 1 s']);
  });

  it('stops after the current batches when it is stopped, and reports no failure', async () => {
    const stopping = new AbortController();
    const stop: Expiry = {
      name: 'stop',
      async expireSome() {
        stopping.abort();
        return { rows: 1, isDone: false };
      },
    };
    const { rowsExpired, errors } = await expire([stop, table('a', Number.POSITIVE_INFINITY)], {
      pause,
      stopping: stopping.signal,
    });
    expect(rowsExpired).toBeLessThan(100);
    expect(errors).toEqual([]);
  });

  it('begins no further batch when it becomes idle, and reports no failure', async () => {
    const taken: string[] = [];
    const whyIdle = async () => (taken.length >= 4 ? new Error('another protocol') : null);
    const endless = ['a', 'b'].map((name) => table(name, Number.POSITIVE_INFINITY, taken));
    expect((await expire(endless, { pause, whyIdle })).errors).toEqual([]);
    expect(taken.length).toBeLessThanOrEqual(5);
  });

  it('stays stopped even if an earlier check then allows it to continue', async () => {
    const taken: string[] = [];
    const slow = Promise.withResolvers<null>();
    const checks = [() => slow.promise, async () => new Error('another protocol')];
    const whyIdle = () => (checks.shift() ?? (async () => null))();
    const expiring = expire(
      ['a', 'b'].map((name) => table(name, 5, taken)),
      { pause, whyIdle },
    );
    await pause();
    slow.resolve(null);
    expect(await expiring).toEqual({ rowsExpired: 20, errors: [] });
    expect(taken).toEqual(['a', 'b']);
  });
});
