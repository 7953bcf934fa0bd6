/** Pins processes to cores: the service to one, the generator and the stores to the other. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { treeOf } from '../bench/process-usage.ts';

const run = promisify(execFile);

/** Pins a process with all its threads and descendants. Processes that they start later inherit the core. */
export async function pin(pid: number, processor: number): Promise<void> {
  for (const one of treeOf([pid])) {
    // Ignores a process that has ended.
    await run('taskset', ['-acp', String(processor), String(one)]).catch(() => {});
  }
}
