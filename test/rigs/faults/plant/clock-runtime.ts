/**
 * A process whose clock is wrong: what JavaScript there takes for the time of day is moved by as much as a file says, also
 * while it runs. Clocks that only rise (performance.now, timers) are left alone, as a wrong time of day leaves them.
 */
import { readFileSync } from 'node:fs';

/** How often the file is looked at. */
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
