/**
 * What a `tandem up` that was killed left running. Its processes live on (nothing they do is harmed by its death), so the
 * next start ends them before it starts its own: two workers of two configurations would not disturb each other's
 * results, but a port and a log belong to one.
 */
import type { StateDir } from '@tandem/local-servers/state-dir';
import { killGroup, STOP_WITHIN_MS } from './node-process.ts';

/** Ends the recorded processes of earlier holders of the folder; names those that outlive it. */
export async function endLeftovers(stateDir: StateDir, say: (line: string) => void): Promise<void> {
  const leftovers = stateDir.listProcesses();
  await Promise.all(
    leftovers.map(async (leftover) => {
      say(`stopping the ${leftover.name} that an earlier run left (process ${leftover.pid})`);
      const ended = await stateDir.endRecorded(leftover, [
        { signal: 'SIGTERM', waitMs: STOP_WITHIN_MS },
        { signal: 'SIGKILL', waitMs: 5_000 },
      ]);
      if (ended) killGroup(leftover.pid);
      else say(`${leftover.name} (process ${leftover.pid}) cannot be ended: kill -9 ${leftover.pid}`);
    }),
  );
}
