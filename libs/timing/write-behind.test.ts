import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WriteBehind, type WriteBehindOptions } from './write-behind.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Records the written entries. If the test requests it, a write stays open until the test ends it. */
function world(options: Partial<WriteBehindOptions<string>> = {}) {
  const writes: (readonly string[])[] = [];
  const open: PromiseWithResolvers<void>[] = [];
  const flushes: string[] = [];
  let mode: 'ok' | 'fail' | 'wait' = 'ok';
  const line = new WriteBehind<string>({
    ...{ maxWaiting: 10, batch: 3, flushMs: 50, onFailure: 'drop' },
    write(entries) {
      writes.push(entries);
      if (mode === 'fail') return Promise.reject(new Error('away'));
      if (mode === 'ok') return Promise.resolve();
      const write = Promise.withResolvers<void>();
      open.push(write);
      return write.promise;
    },
    onFlush: (outcome, error) => void flushes.push(error instanceof Error ? `${outcome}: ${error.message}` : outcome),
    ...options,
  });
  const add = (...entries: string[]) => entries.map((entry) => line.add(entry));
  const set = (next: typeof mode) => {
    mode = next;
  };
  return { line, add, set, writes, open, flushes };
}

describe('write-behind', () => {
  it('collects entries for a short time, then writes them in batches, in order', async () => {
    const { add, writes, flushes } = world();
    add('d', 'a');
    await vi.advanceTimersByTimeAsync(49);
    add('c', 'b');
    expect(writes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([writes, flushes]).toEqual([[['d', 'a', 'c'], ['b']], ['ok']]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes in the given order, over all batches of a flush', async () => {
    const { add, writes } = world({ order: (one, other) => (one < other ? -1 : 1) });
    add('d', 'a', 'c', 'b');
    await vi.advanceTimersByTimeAsync(50);
    expect(writes).toEqual([['a', 'b', 'c'], ['d']]);
  });

  it('keeps only the latest entry of a key, at the position of the first', async () => {
    const { line, writes } = world();
    line.add('first', 1);
    line.add('second', 2);
    line.add('third', 1);
    expect([line.size, line.find(1), line.find(3)]).toEqual([2, 'third', undefined]);
    await vi.advanceTimersByTimeAsync(50);
    expect(writes).toEqual([['third', 'second']]);
  });

  it('drops and counts entries beyond the limit; an entry with a waiting key needs no room', async () => {
    const dropped: (readonly string[])[] = [];
    const { line, add, writes } = world({ maxWaiting: 2, onDrop: (entries) => void dropped.push(entries) });
    expect(add('a', 'b', 'c', 'b')).toEqual([true, true, false, true]);
    expect([line.size, line.dropped, dropped]).toEqual([2, 1, [['c']]]);
    await vi.advanceTimersByTimeAsync(50);
    expect([writes, add('c')]).toEqual([[['a', 'b']], [true]]);
  });

  it('runs one flush at a time, and later entries wait for the next flush', async () => {
    const { line, add, set, writes, open } = world();
    set('wait');
    add('a');
    await vi.advanceTimersByTimeAsync(50);
    add('b', 'a');
    await vi.advanceTimersByTimeAsync(10_000);
    expect([writes, line.size]).toEqual([[['a']], 2]);
    open[0]?.resolve();
    await vi.advanceTimersByTimeAsync(49);
    expect(writes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(writes).toEqual([['a'], ['b', 'a']]);
  });

  it('flushes at once when enough entries wait, and again if enough came during the flush', async () => {
    const { add, set, writes, open } = world({ flushAt: 2 });
    set('wait');
    add('a', 'b');
    expect(writes).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
    add('c', 'd', 'e');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(writes).toEqual([['a', 'b']]);
    set('ok');
    open[0]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(writes).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('with onDrop, drops the entries of a failed write and continues with the next batch', async () => {
    const dropped: (readonly string[])[] = [];
    const { line, add, set, writes, flushes } = world({ onDrop: (entries) => void dropped.push(entries) });
    set('fail');
    add('a', 'b', 'c', 'd');
    await vi.advanceTimersByTimeAsync(50);
    expect([writes.length, line.dropped, line.size, flushes]).toEqual([2, 4, 0, ['ok']]);
    expect(dropped).toEqual([['a', 'b', 'c'], ['d']]);
    set('ok');
    add('e');
    await vi.advanceTimersByTimeAsync(50);
    expect(writes.at(-1)).toEqual(['e']);
  });

  it('with `onFailure: retry`, ends the flush after a failed write; the next flush begins with its entries or later ones of the same keys', async () => {
    const { line, set, writes, open, flushes } = world({ onFailure: 'retry' });
    set('wait');
    for (const key of [1, 2, 3, 4]) line.add(`${key}`, key);
    await vi.advanceTimersByTimeAsync(50);
    line.add('later', 2);
    open[0]?.reject(new Error('away'));
    set('ok');
    await vi.advanceTimersByTimeAsync(49);
    expect([writes.length, flushes]).toEqual([1, ['failed: away']]);
    await vi.advanceTimersByTimeAsync(1);
    expect(writes.slice(1)).toEqual([['1', 'later', '3'], ['4']]);
    expect([line.dropped, flushes]).toEqual([0, ['failed: away', 'ok']]);
  });

  it('does not retry at once after a failed write, even if enough entries wait', async () => {
    const { add, set, writes } = world({ onFailure: 'retry', flushAt: 1 });
    set('fail');
    add('a');
    await vi.advanceTimersByTimeAsync(1);
    add('b');
    await vi.advanceTimersByTimeAsync(48);
    expect(writes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(writes).toHaveLength(2);
  });

  it('writes nothing while `before` fails, and runs `before` without entries if a flush is requested', async () => {
    let isAway = true;
    const before = async () => {
      if (isAway) throw new Error('before');
    };
    const { line, add, writes, flushes } = world({ before });
    add('a');
    await vi.advanceTimersByTimeAsync(100);
    expect([writes, flushes, line.size]).toEqual([[], ['failed: before', 'failed: before'], 1]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(50);
    line.schedule();
    await vi.advanceTimersByTimeAsync(50);
    expect([writes, flushes.slice(2)]).toEqual([[['a']], ['ok', 'ok']]);
  });
});

describe('the close of a write-behind', () => {
  it('waits for the flush under way, writes the waiting entries, and accepts no more', async () => {
    const { line, add, set, writes, open } = world();
    set('wait');
    add('a');
    await vi.advanceTimersByTimeAsync(50);
    add('b');
    set('ok');
    const closing = line.close();
    expect(writes).toEqual([['a']]);
    open[0]?.resolve();
    await closing;
    expect(writes).toEqual([['a'], ['b']]);
    expect([add('c'), line.dropped]).toEqual([[false], 1]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([writes.length, vi.getTimerCount()]).toEqual([2, 0]);
  });

  it('begins no write after its time limit, and drops the rest', async () => {
    const dropped: (readonly string[])[] = [];
    const { line, add, set, writes, open } = world({ onDrop: (entries) => void dropped.push(entries) });
    set('wait');
    add('a', 'b', 'c', 'd');
    const closing = line.close();
    await vi.advanceTimersByTimeAsync(5_000);
    open[0]?.resolve();
    await closing;
    expect([writes, line.size, line.dropped, dropped]).toEqual([[['a', 'b', 'c']], 0, 1, [['d']]]);
  });

  it('does not run `before` after its time limit either', async () => {
    let runs = 0;
    const { line, add, set, open } = world({ before: async () => void runs++ });
    set('wait');
    add('a');
    await vi.advanceTimersByTimeAsync(50);
    add('b');
    const closing = line.close();
    await vi.advanceTimersByTimeAsync(5_000);
    open[0]?.resolve();
    await closing;
    expect([runs, line.dropped]).toEqual([1, 1]);
  });

  it('tries once if writes fail, and drops the entries to retry', async () => {
    const { line, add, set, writes, flushes } = world({ onFailure: 'retry' });
    set('fail');
    add('a', 'b', 'c', 'd');
    await line.close();
    expect([writes.length, line.dropped, flushes]).toEqual([1, 4, ['failed: away']]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('a write-behind does not keep the process alive', () => {
  vi.useRealTimers();
  const { add } = world();
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  add('a');
  expect(timers()).toBe(before);
});
