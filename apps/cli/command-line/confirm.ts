/** Asks a person before something is done that hurts. */
import type { Cli } from '../cli.ts';
import { CommandFailure } from '../failure.ts';

/** Throws where the answer is not yes, or nobody is here to answer. */
export async function confirm(cli: Cli, question: string): Promise<void> {
  if (cli.ask === undefined) {
    throw new CommandFailure('this asks before it acts, and nobody is here to answer', {
      remedy: 'add --yes',
      exitCode: 2,
    });
  }
  const answer = await cli.ask(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure('nothing was changed');
}
