/** Measures what work leaves behind for a full garbage collection. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * The bytes per call that caches, counters and the compiler may leave: up to 410 on a busy machine. A call that keeps its
 * answer until a full collection leaves more than 2,000.
 */
export const MAX_BYTES_LEFT = 1_000;

/**
 * Runs the work several times, one after the other. Returns the mean bytes that a call left in the heap after
 * collections of the young generation, which should find everything that a call allocated.
 */
export async function bytesLeftBy(times: number, work: () => Promise<unknown>): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect: (options?: { type: 'minor' }) => void = runInNewContext('gc');
  // The compiler's own memory grows in the first calls.
  for (let i = 0; i < times; i++) await work();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < times; i++) await work();
  for (let i = 0; i < 3; i++) collect({ type: 'minor' });
  return (process.memoryUsage().heapUsed - before) / times;
}
