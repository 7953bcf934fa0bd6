/** `tandem version rollback`: back to a model version that was served before, with the predictions that it stored. */
import type { Command } from 'commander';
import { type Cli, present } from '../cli.ts';
import { confirm } from '../command-line/confirm.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/create-command.ts';
import { CommandFailure } from '../failure.ts';

interface Options extends ApiOptions {
  readonly to?: string;
  readonly yes?: boolean;
}

export function versionRollbackCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'rollback',
    description: 'serve an earlier model version again, from the newest generation that is kept of it',
    example: 'tandem version rollback repurchase --to 2',
  })
    .argument('<predictor>')
    .option(
      '--to <number>',
      'the model version (default: of those that were stable, the newest other one with a kept generation)',
    )
    .option('--yes', 'do not ask')
    .action(async (predictor: string, { to, yes, ...options }: Options) => {
      const client = connect(cli, options);
      const generations = await client.generations(predictor);
      const served = generations.find((one) => one.inForce)?.modelVersion;
      const target = generations.find(
        (one) =>
          one.state === 'published' &&
          (to === undefined ? one.wasStable && one.modelVersion !== served : one.modelVersion === to),
      );
      if (!target || target.modelVersion === served) throw noTarget(predictor, to, served);
      if (!yes)
        await confirm(cli, `${predictor}: serve model version ${target.modelVersion} instead of ${served ?? 'none'}?`);
      const result = await client.rollback(predictor, Number(target.generation));
      present(cli, options, result, () => [
        `${predictor}: model version ${target.modelVersion} is served, from generation ${target.generation}`,
      ]);
    });
}

function noTarget(predictor: string, to: string | undefined, served: string | undefined): CommandFailure {
  const which = to === undefined ? 'no model version that was served before' : `no model version ${to}`;
  const problem =
    to !== undefined && to === served
      ? `model version ${to} is served already`
      : `${which} has a generation that is kept`;
  return new CommandFailure(`${predictor}: ${problem}`, {
    remedy: `tandem generation list ${predictor} shows those that are kept; tandem rollout start serves any other version`,
  });
}
