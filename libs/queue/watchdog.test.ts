import { describe, expect, it } from 'vitest';
import { createWatchdog } from './watchdog.ts';

const idle = { waiting: 5, running: 0, concurrency: 2 };

describe('watchdog', () => {
  it('calls a worker dead that has room and takes nothing of what waits', () => {
    const watchdog = createWatchdog({ idleMs: 60_000, stuckMs: 900_000 });
    expect(watchdog.look('scoring', idle, 0)).toBeNull();
    expect(watchdog.look('scoring', idle, 59_999)).toBeNull();
    expect(watchdog.look('scoring', idle, 60_000)).toMatch('5 scoring jobs wait');
  });

  it('lets a worker live that makes progress, or has nothing to do', () => {
    const watchdog = createWatchdog({ idleMs: 60_000, stuckMs: 900_000 });
    watchdog.look('scoring', idle, 0);
    watchdog.progressed('scoring', 50_000);
    expect(watchdog.look('scoring', idle, 100_000)).toBeNull();
    expect(watchdog.look('scoring', { ...idle, waiting: 0 }, 200_000)).toBeNull();
    expect(watchdog.look('scoring', idle, 300_000)).toBeNull();
  });

  it('does not blame a worker whose places are all taken', () => {
    const watchdog = createWatchdog({ idleMs: 60_000, stuckMs: 900_000 });
    watchdog.look('scoring', { ...idle, running: 2 }, 0);
    expect(watchdog.look('scoring', { ...idle, running: 2 }, 600_000)).toBeNull();
  });

  it('concludes nothing from a queue that does not answer', () => {
    const watchdog = createWatchdog({ idleMs: 60_000, stuckMs: 900_000 });
    watchdog.look('scoring', { ...idle, waiting: null }, 0);
    expect(watchdog.look('scoring', { ...idle, waiting: null }, 600_000)).toBeNull();
  });

  it('calls a worker dead whose jobs hang', () => {
    const watchdog = createWatchdog({ idleMs: 60_000, stuckMs: 900_000 });
    const hanging = { waiting: 0, running: 2, concurrency: 2 };
    watchdog.look('loading', hanging, 0);
    expect(watchdog.look('loading', hanging, 900_000)).toMatch('2 loading jobs run without progress');
  });

  it('watches each class by itself: a busy one does not excuse another', () => {
    const watchdog = createWatchdog({ idleMs: 60_000, stuckMs: 900_000 });
    watchdog.look('control', idle, 0);
    watchdog.progressed('scoring', 59_000);
    expect(watchdog.look('control', idle, 60_000)).not.toBeNull();
  });
});
