/** Which processor a process may use: the service one, the generator and the stores the other. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { treeOf } from '../bench/process-usage.ts';

const run = promisify(execFile);

/** A process with all its threads and descendants, and whatever they start from now on. */
export async function pin(pid: number, processor: number): Promise<void> {
  for (const one of treeOf([pid])) {
    // One that has ended meanwhile needs no processor.
    await run('taskset', ['-acp', String(processor), String(one)]).catch(() => {});
  }
}
