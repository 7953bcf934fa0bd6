/** Pins processes to processors: the service to one, the generator and the stores to the other. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { treeOf } from '../bench/process-usage.ts';

const run = promisify(execFile);

/** Pins a process with all its threads and descendants. Processes that they start later inherit it. */
export async function pin(pid: number, processor: number): Promise<void> {
  for (const one of treeOf([pid])) {
    // A process that has ended meanwhile is ignored.
    await run('taskset', ['-acp', String(processor), String(one)]).catch(() => {});
  }
}
