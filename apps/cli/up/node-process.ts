/** Starts a program of this project as a process of its own group, its log in a file. */
import { join } from 'node:path';
import { lastLines, startServerProcess } from '@tandem/local-servers/server-process';
import type { StateDir } from '@tandem/local-servers/state-dir';
import type { Started } from './supervise.ts';

export interface NodeProgram {
  /** `api`, `worker`: names its record and its log. */
  readonly name: string;
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stateDir: StateDir;
}

/** Work under way may end in this time; then it is cut off, and the next claim repeats it. */
export const STOP_WITHIN_MS = 12_000;

export function startNodeProgram({ name, file, env, stateDir }: NodeProgram): Started {
  const outputFile = join(stateDir.path, 'logs', `${name}.log`);
  const server = startServerProcess({ program: process.execPath, args: [file], cwd: process.cwd(), env, outputFile });
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

/** Ends every process of a group at once; one that has ended already is no fault. */
export function killGroup(leader: number): void {
  // Group 0 would be our own, and -1 everybody.
  if (leader <= 1) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
