/**
 * Starts a program of this project in a separate process group, with its log in a file. Also ends the programs that a
 * killed `tandem up` left running.
 */
import { join } from 'node:path';
import { lastLines, startServerProcess } from '@tandem/local-servers/server-process';
import type { StateDir } from '@tandem/local-servers/state-dir';
import type { Started } from '@tandem/timing/supervise';

interface NodeProgram {
  /** `api` or `worker`. Names the record and the log. */
  readonly name: string;
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stateDir: StateDir;
  /** Whether Node restarts the program when a file that it has loaded changes. */
  readonly watch: boolean;
}

/** Milliseconds for work in progress. Then the program is killed, and the next claim repeats the work. */
const STOP_WITHIN_MS = 12_000;

export function startNodeProgram({ name, file, env, stateDir, watch }: NodeProgram): Started {
  const outputFile = join(stateDir.path, 'logs', `${name}.log`);
  const args = watch ? ['--watch', '--watch-preserve-output', file] : [file];
  const server = startServerProcess({ program: process.execPath, args, cwd: process.cwd(), env, outputFile });
  stateDir.recordProcess(name, server.pid);
  return {
    pid: server.pid,
    exited: server.exited,
    stop: async () => {
      await server.end([{ signal: 'SIGTERM', waitMs: STOP_WITHIN_MS }]);
      killGroup(server.pid);
      await server.exited;
      stateDir.forgetProcess(name);
    },
    kill: () => killGroup(server.pid),
    lastOutput: () => lastLines(server.readOutput()),
  };
}

/** Kills every process of a group at once. A process that has already ended is no error. */
export function killGroup(leader: number): void {
  // Group 0 would be this process's group, and -1 every process.
  if (leader <= 1) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Ends the processes that a killed `tandem up` left, and names those that cannot be ended. They would keep using their
 * port and log.
 */
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
