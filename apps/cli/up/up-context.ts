/** What the steps of `tandem up` share. */
import type { StateDir } from '@tandem/local-servers/state-dir';
import type { Cli, CommonOptions } from '../command-line/cli.ts';
import type { Say } from './steps.ts';
import type { Supervised, SupervisorParts } from './supervise.ts';

export interface UpOptions extends CommonOptions {
  readonly example?: boolean;
  /** Postgres and Redis alone: there is no config yet. */
  readonly servers?: boolean;
  readonly config?: string;
  readonly port?: number;
  /** Adopts a config that `check` finds errors in. */
  readonly force?: boolean;
}

export interface UpContext {
  readonly cli: Cli;
  readonly stateDir: StateDir;
  readonly say: Say;
  readonly supervision: Pick<SupervisorParts, 'now' | 'sleep'>;
  /** Has a running process ended with everything else, and `up` end when it is given up. */
  readonly keep: (supervised: Supervised) => void;
  /** Rejects when the user asks for an end, or when a process was given up; never resolves. */
  readonly ended: Promise<never>;
}

/** The step's result, unless everything ends first. Only for steps that leave nothing running. */
export function orEnd<T>({ ended }: UpContext, step: Promise<T>): Promise<T> {
  return Promise.race([step, ended]);
}
