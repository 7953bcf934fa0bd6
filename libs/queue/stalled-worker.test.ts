import { describe, expect, it } from 'vitest';
import { createWatchdog } from './stalled-worker.ts';

const times = {
  idleMs: 60_000,
  stuckMs: { planning: 2_400_000, publishing: 2_400_000, scoring: 900_000, loading: 900_000 },
};
const idle = { waiting: 5, running: 0, concurrency: 2 };

describe('watchdog', () => {
  it('calls a worker dead that has room and takes nothing of what waits', () => {
    const watchdog = createWatchdog(times);
    expect(watchdog.look('scoring', idle, 0)).toBeNull();
    expect(watchdog.look('scoring', idle, 59_999)).toBeNull();
    expect(watchdog.look('scoring', idle, 60_000)).toMatch('5 scoring jobs wait');
  });

  it('lets a worker live that makes progress, or has nothing to do', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('scoring', idle, 0);
    watchdog.taken('scoring', 50_000);
    expect(watchdog.look('scoring', idle, 100_000)).toBeNull();
    expect(watchdog.look('scoring', { ...idle, waiting: 0 }, 200_000)).toBeNull();
    expect(watchdog.look('scoring', idle, 300_000)).toBeNull();
  });

  it('does not blame a worker whose places are all taken', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('scoring', { ...idle, running: 2 }, 0);
    expect(watchdog.look('scoring', { ...idle, running: 2 }, 600_000)).toBeNull();
  });

  it('concludes nothing from a queue that does not answer', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('scoring', { ...idle, waiting: null }, 0);
    expect(watchdog.look('scoring', { ...idle, waiting: null }, 600_000)).toBeNull();
  });

  it('calls a worker dead whose jobs hang', () => {
    const watchdog = createWatchdog(times);
    const hanging = { waiting: 0, running: 2, concurrency: 2 };
    watchdog.look('loading', hanging, 0);
    expect(watchdog.look('loading', hanging, 900_000)).toMatch('2 loading jobs run without progress');
  });

  it('counts a job that waits from when it waits: a long one beside it is no reason to blame the worker', () => {
    const watchdog = createWatchdog(times);
    const planning = { waiting: 0, running: 1, concurrency: 2 };
    for (let now = 0; now <= 1_200_000; now += 10_000) expect(watchdog.look('planning', planning, now)).toBeNull();
    expect(watchdog.look('planning', { ...planning, waiting: 1 }, 1_210_000)).toBeNull();
    expect(watchdog.look('planning', { ...planning, waiting: 1 }, 1_269_999)).toBeNull();
    expect(watchdog.look('planning', { ...planning, waiting: 1 }, 1_270_000)).toMatch('1 planning jobs wait');
  });

  it('is not soothed by the progress of one job while none of those that wait is taken', () => {
    const watchdog = createWatchdog(times);
    const half = { waiting: 3, running: 1, concurrency: 2 };
    watchdog.look('scoring', half, 0);
    watchdog.progressed('scoring', 59_000);
    expect(watchdog.look('scoring', half, 60_000)).toMatch('3 scoring jobs wait');
  });

  it('counts a job as stuck from its own last progress, however long the worker was busy before', () => {
    const watchdog = createWatchdog(times);
    const busy = { waiting: 0, running: 1, concurrency: 2 };
    watchdog.look('scoring', busy, 0);
    watchdog.progressed('scoring', 800_000);
    expect(watchdog.look('scoring', busy, 1_699_999)).toBeNull();
    expect(watchdog.look('scoring', busy, 1_700_000)).toMatch('1 scoring jobs run without progress');
  });

  it('lets each class take the time that its jobs may', () => {
    const watchdog = createWatchdog(times);
    const planning = { waiting: 0, running: 1, concurrency: 2 };
    watchdog.look('planning', planning, 0);
    expect(watchdog.look('planning', planning, 2_399_999)).toBeNull();
    expect(watchdog.look('planning', planning, 2_400_000)).toMatch('1 planning jobs run without progress');
  });

  it('watches each class by itself: a busy one does not excuse another', () => {
    const watchdog = createWatchdog(times);
    watchdog.look('planning', idle, 0);
    watchdog.taken('scoring', 59_000);
    expect(watchdog.look('planning', idle, 60_000)).not.toBeNull();
  });
});
