/** Runs one invocation of the CLI in the process of the test, and returns its output. */
import { Readable } from 'node:stream';
import { type Cli, createCli } from '@tandem/commands/command';
import { runProgram } from './program.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The line that a step prints if it takes some seconds, which depends on the machine. */
const STILL = /^still .+ …\n/gm;

/**
 * Runs one invocation of the CLI.
 * @param args words, or a line that is split at spaces
 */
export async function run(args: string | readonly string[], parts: Partial<Cli> = {}): Promise<Ran> {
  const said = { out: [] as string[], err: [] as string[] };
  const cli = createCli({
    stdin: Readable.from([]),
    stdout: { write: (text) => said.out.push(text) },
    stderr: { write: (text) => said.err.push(text) },
    env: {},
    cwd: '/',
    signal: new AbortController().signal,
    whenForced: () => () => undefined,
    ask: undefined,
    now: Date.now,
    ...parts,
  });
  const words = typeof args === 'string' ? args.split(' ').filter((word) => word !== '') : args;
  const code = await runProgram(cli, words);
  return { code, out: said.out.join(''), err: said.err.join('').replaceAll(STILL, '') };
}
