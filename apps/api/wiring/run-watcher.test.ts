import type { Run } from '@tandem/prediction/runs/runs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRunWatcher, type RunListener } from './run-watcher.ts';

const run = (state: Run['state'], usersScored: number) => ({ id: 'r', state, usersScored }) as Run;

/** Creates a listener that records its calls. */
function remembering() {
  const told: (string | number)[] = [];
  const listener: RunListener = { onRun: (one) => told.push(one.usersScored), onEnd: () => told.push('end') };
  return { told, listener };
}

describe('createRunWatcher', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('reports every change once, then the end', async () => {
    const states = [run('running', 0), run('running', 0), run('running', 5), run('done', 9)];
    const find = vi.fn(async () => states.shift());
    const { told, listener } = remembering();
    createRunWatcher({ find }).watch('r', listener);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(told).toEqual([0, 5, 9, 'end']);
    expect(find).toHaveBeenCalledTimes(4);
  });

  it('polls once in each interval for all watchers, and not at all without watchers', async () => {
    const find = vi.fn(async () => run('running', 1));
    const watcher = createRunWatcher({ find });
    const watchers = [remembering(), remembering(), remembering()];
    const stops = watchers.map(({ listener }) => watcher.watch('r', listener));
    await vi.advanceTimersByTimeAsync(1_400);
    expect(find).toHaveBeenCalledTimes(3);
    const late = remembering();
    stops.push(watcher.watch('r', late.listener));
    expect([...watchers, late].map(({ told }) => told)).toEqual([[1], [1], [1], [1]]);
    for (const stop of stops) stop();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(find).toHaveBeenCalledTimes(3);
  });

  it('continues after an outage of the database', async () => {
    const find = vi.fn(async () => run('done', 2));
    find.mockRejectedValueOnce(new Error('away'));
    const { told, listener } = remembering();
    createRunWatcher({ find }).watch('r', listener);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toEqual([2, 'end']);
  });

  it('ends all watchers when it closes, and later watchers at once', async () => {
    const watcher = createRunWatcher({ find: async () => run('running', 1) });
    const [before, after] = [remembering(), remembering()];
    watcher.watch('r', before.listener);
    await vi.advanceTimersByTimeAsync(10);
    watcher.close();
    watcher.watch('r', after.listener);
    await vi.advanceTimersByTimeAsync(5_000);
    expect([before.told, after.told]).toEqual([[1, 'end'], ['end']]);
  });
});
