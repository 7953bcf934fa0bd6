/** State shared by the steps of `tandem up`, and their report lines: `postgres  running on 127.0.0.1:41234`. */

import { type Cli, type CommonOptions, plain } from '@tandem/commands/command';
import type { StateDir } from '@tandem/local-servers/state-dir';
import type { Supervised, SupervisorParts } from '@tandem/timing/supervise';

export interface UpContext {
  readonly cli: Cli;
  readonly stateDir: StateDir;
  readonly say: Say;
  readonly supervision: Pick<SupervisorParts, 'now' | 'sleep'>;
  /** Registers a running process, which is ended with everything else. `up` ends if the process is given up. */
  readonly keep: (supervised: Supervised) => void;
  /** Rejects when the user stops `up`, or when a process keeps failing; never resolves. */
  readonly ended: Promise<never>;
}

/** Returns the result of the step, or rejects if everything ends first. Only for steps that leave nothing running. */
export function orEnd<T>({ ended }: UpContext, step: Promise<T>): Promise<T> {
  return Promise.race([step, ended]);
}

export type Say = (step: string, text: string) => void;

const NAME_WIDTH = 8;

/** Returns the label before the lines of a step. */
export function stepLabel(step: string): string {
  return `${step.padEnd(NAME_WIDTH)}  `;
}

/** Creates `say`. With `--json`, standard output has the result only. */
export function createSay(cli: Cli, { json }: CommonOptions): Say {
  const stream = json ? cli.stderr : cli.stdout;
  const paint: Cli['paint'] = json ? plain : cli.paint;
  return (step, text) => {
    const [first = '', ...more] = text.split('\n');
    stream.write(`${paint('strong', stepLabel(step))}${first}\n`);
    for (const line of more) stream.write(`${stepLabel('')}${line}\n`);
  };
}
