/** `tandem doctor`: checks this machine, Postgres and Redis. */
import { type Cli, type CommonOptions, createCommand } from '@tandem/commands/command';
import { presentFindings } from '@tandem/commands/output/finding';

export function doctorCommand(cli: Cli) {
  return createCommand({
    name: 'doctor',
    description: 'check this machine, Postgres and Redis, and print each finding with its remedy',
    example: 'DATABASE_URL=postgres://… REDIS_URL=redis://… tandem doctor',
  }).action(async (options: CommonOptions) => {
    const { examine } = await import('./examine.ts');
    presentFindings(cli, options, { findings: await examine(cli) });
  });
}
