/** `tandem doctor`: checks this machine, Postgres and Redis. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, createCommand, present } from '../command-line/command.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { renderFindings, summarise } from '../output/finding.ts';

export function doctorCommand(cli: Cli): Command {
  return createCommand({
    name: 'doctor',
    description: 'check this machine, Postgres and Redis, and print each finding with its remedy',
    example: 'DATABASE_URL=postgres://… REDIS_URL=redis://… tandem doctor',
  }).action(async (options: CommonOptions) => {
    const { examine } = await import('./examine.ts');
    const findings = await examine(cli);
    present(cli, options, { findings, summary: summarise(findings) }, (result) => [
      ...renderFindings(result.findings, cli.paint),
      '',
      result.summary,
    ]);
    if (findings.some(({ level }) => level === 'error')) throw new CommandFailure('', { presented: true });
  });
}
