/**
 * A thread that ends its process when the event loop is blocked for too long: such a process serves no requests, does
 * not drain and ignores SIGTERM. The thread counts its own turns, not time: if the whole process was stopped, or the
 * machine slept, both stopped together.
 */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { WatchdogData } from './watch-event-loop.ts';

const { beats, turns, turnMs, name } = workerData as WatchdogData;
let seen = Atomics.load(beats, 0);
let missed = 0;

setInterval(() => {
  const now = Atomics.load(beats, 0);
  missed = now === seen ? missed + 1 : 0;
  seen = now;
  if (missed >= turns) end((missed * turnMs) / 1_000);
}, turnMs);

function end(seconds: number): void {
  // A line of the log, without the log: nothing of the main thread can be asked any more.
  const line = { level: 'error', time: new Date().toISOString(), name, pid: process.pid, event: 'process.stuck' };
  try {
    writeSync(1, `${JSON.stringify({ ...line, why: `the event loop was blocked for ${seconds} s` })}\n`);
  } catch {
    // The parent no longer reads it.
  }
  process.kill(process.pid, 'SIGKILL');
}
