/**
 * A process with a wrong clock: JavaScript's time of day is moved as a file says, also while the process runs. Monotonic
 * clocks (performance.now, timers) do not change, as with a wrong time of day.
 */
import { readFileSync } from 'node:fs';

/** The interval at which the file is read. */
const LOOK_EVERY_MS = 20;

/** @param file milliseconds as text; no file: none */
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
    // Without `new` it is the time of day as text.
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
