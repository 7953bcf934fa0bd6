/**
 * A thread that ends its process when the event loop is blocked for too long. Such a process serves no requests, does
 * not drain and ignores SIGTERM. The thread counts its own turns, not time, since a stopped process or a sleeping
 * machine stops both threads.
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
  // Writes a log line without the log, which belongs to the blocked main thread.
  const line = { level: 'error', time: new Date().toISOString(), name, pid: process.pid, event: 'process.stuck' };
  try {
    writeSync(1, `${JSON.stringify({ ...line, why: `the event loop was blocked for ${seconds} s` })}\n`);
  } catch {
    // The parent process no longer reads the output.
  }
  process.kill(process.pid, 'SIGKILL');
}
