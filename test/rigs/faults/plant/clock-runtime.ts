/**
 * Gives a process a wrong clock: a file says by how much JavaScript's time of day is moved, also while the process
 * runs. Monotonic clocks (performance.now, timers) do not change, just as when a machine's time of day is wrong.
 */
import { readFileSync } from 'node:fs';

/** The interval at which the file is read. */
const LOOK_EVERY_MS = 20;

/** @param file contains milliseconds as text; without the file, the clock is right */
export function installClock(file: string): void {
  const RealDate = globalThis.Date;
  let offset = 0;
  let lookAgainAt = 0;

  function now(): number {
    const monotonic = performance.now();
    if (monotonic >= lookAgainAt) {
      lookAgainAt = monotonic + LOOK_EVERY_MS;
      offset = readOffset(file);
    }
    return RealDate.now() + offset;
  }

  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    // `Date()` without `new` returns the time of day as text.
    apply: () => new RealDate(now()).toString(),
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
  });
}

function readOffset(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    return 0;
  }
}
