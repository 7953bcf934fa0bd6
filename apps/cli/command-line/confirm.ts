/** Asks a person before something is done that hurts. */
import type { Cli } from './cli.ts';
import { CommandFailure, EXIT_USAGE } from './failure.ts';

/** Throws where the answer is not yes, or nobody is here to answer. */
export async function confirm(cli: Cli, question: string): Promise<void> {
  const answer = await askerOf(cli)(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure('nothing was changed');
}

/** Who can be asked; throws where nobody is here to answer: before anything is looked up for the question. */
export function askerOf({ ask }: Pick<Cli, 'ask'>): NonNullable<Cli['ask']> {
  if (ask !== undefined) return ask;
  throw new CommandFailure('this asks before it acts, and nobody is here to answer', {
    remedy: 'add --yes',
    exitCode: EXIT_USAGE,
  });
}
