/**
 * A thread in an inference child that ends the child when its parent has ended or its memory exceeds the limit. It is a
 * separate thread, because the main thread may be in a run that never returns. It is in the child, because no other
 * process is left if the parent was killed.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { workerData } from 'node:worker_threads';

/**
 * Milliseconds between checks. A process touches new memory at about 1 MB per millisecond, so it can exceed its limit
 * by 50 MB.
 */
const PERIOD_MS = 50;

const { parentPid, memoryLimitMb } = workerData as { parentPid: number; memoryLimitMb: number };
const limit = memoryLimitMb * 1024 * 1024;

setInterval(() => {
  if (process.ppid !== parentPid) end('its parent has ended');
  if (process.memoryUsage.rss() > limit) end(`it took more than ${memoryLimitMb} MB of memory`);
}, PERIOD_MS);
// Each thread writes its own compile cache: see worker.ts.
flushCompileCache();

function end(why: string): void {
  try {
    writeSync(2, `watchdog: ${why}\n`);
  } catch {
    // The parent no longer reads the output.
  }
  process.kill(process.pid, 'SIGKILL');
}
