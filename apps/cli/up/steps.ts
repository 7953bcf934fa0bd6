/** The lines that tell what `tandem up` does, one a step: `postgres  running on 127.0.0.1:41234`. */
import type { Cli, CommonOptions } from '../command-line/cli.ts';

export type Say = (step: string, text: string) => void;

const NAME_WIDTH = 8;

/** What stands before a step's lines. */
export function stepLabel(step: string): string {
  return `${step.padEnd(NAME_WIDTH)}  `;
}

/** With `--json`, standard output is the result's alone. */
export function createSay(cli: Cli, { json }: CommonOptions): Say {
  const stream = json ? cli.stderr : cli.stdout;
  const paint: Cli['paint'] = json ? (_tone, text) => text : cli.paint;
  return (step, text) => {
    const [first = '', ...more] = text.split('\n');
    stream.write(`${paint('strong', stepLabel(step))}${first}\n`);
    for (const line of more) stream.write(`${stepLabel('')}${line}\n`);
  };
}
