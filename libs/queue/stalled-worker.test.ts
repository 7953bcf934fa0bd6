import { describe, expect, it } from 'vitest';
import { createWatchdog } from './stalled-worker.ts';

const times = {
  idleMs: 60_000,
  stuckMs: 2_400_000,
};
const idle = { waiting: 5, running: 0, concurrency: 2 };

describe('watchdog', () => {
  it('reports a worker dead if it has room and takes no waiting job', () => {
    const watchdog = createWatchdog(times);
    expect(watchdog.look('scoring', idle, 0)).toBeNull();
    expect(watchdog.look('scoring', idle, 59_999)).toBeNull();
    expect(watchdog.look('scoring', idle, 60_000)).toMatch('5 scoring jobs wait');
  });

  it('does not report a worker that makes progress or has nothing to do', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('scoring', idle, 0);
    watchdog.taken('scoring', 50_000);
    expect(watchdog.look('scoring', idle, 100_000)).toBeNull();
    expect(watchdog.look('scoring', { ...idle, waiting: 0 }, 200_000)).toBeNull();
    expect(watchdog.look('scoring', idle, 300_000)).toBeNull();
  });

  it('does not report a worker without room for further jobs', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('scoring', { ...idle, running: 2 }, 0);
    expect(watchdog.look('scoring', { ...idle, running: 2 }, 600_000)).toBeNull();
  });

  it('ignores a queue that does not answer', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('scoring', { ...idle, waiting: null }, 0);
    expect(watchdog.look('scoring', { ...idle, waiting: null }, 600_000)).toBeNull();
  });

  it('reports a worker dead if its jobs hang', () => {
    const watchdog = createWatchdog(times);
    const hanging = { waiting: 0, running: 2, concurrency: 2 };
    watchdog.look('loading', hanging, 0);
    expect(watchdog.look('loading', hanging, 2_399_999)).toBeNull();
    expect(watchdog.look('loading', hanging, 2_400_000)).toMatch('2 loading jobs run without progress');
  });

  it('measures from the time at which a job begins to wait, not from the start of a long running job', () => {
    const watchdog = createWatchdog(times);
    const planning = { waiting: 0, running: 1, concurrency: 2 };
    for (let now = 0; now <= 1_200_000; now += 10_000) expect(watchdog.look('planning', planning, now)).toBeNull();
    expect(watchdog.look('planning', { ...planning, waiting: 1 }, 1_210_000)).toBeNull();
    expect(watchdog.look('planning', { ...planning, waiting: 1 }, 1_269_999)).toBeNull();
    expect(watchdog.look('planning', { ...planning, waiting: 1 }, 1_270_000)).toMatch('1 planning jobs wait');
  });

  it('reports a worker that takes no waiting job, although a running job makes progress', () => {
    const watchdog = createWatchdog(times);
    const half = { waiting: 3, running: 1, concurrency: 2 };
    watchdog.look('scoring', half, 0);
    watchdog.progressed('scoring', 59_000);
    expect(watchdog.look('scoring', half, 60_000)).toMatch('3 scoring jobs wait');
  });

  it('measures a stuck job from its own last progress, not from the time at which the worker became busy', () => {
    const watchdog = createWatchdog(times);
    const busy = { waiting: 0, running: 1, concurrency: 2 };
    watchdog.look('scoring', busy, 0);
    watchdog.progressed('scoring', 800_000);
    expect(watchdog.look('scoring', busy, 3_199_999)).toBeNull();
    expect(watchdog.look('scoring', busy, 3_200_000)).toMatch('1 scoring jobs run without progress');
  });

  it('watches each class separately', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('planning', idle, 0);
    watchdog.taken('scoring', 59_000);
    expect(watchdog.look('planning', idle, 60_000)).not.toBeNull();
  });
});
