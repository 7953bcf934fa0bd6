/** `tandem generation rollback`: back to predictions that were in force before, without computing any. */
import type { Client } from '@tandem/client/create-client';
import { rollbackTarget, type WantedRollback } from '@tandem/prediction/runs/rollback-target';
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { askerOf, confirm } from '../command-line/confirm.ts';
import { parseWhole } from '../command-line/options.ts';

interface Options extends ApiOptions {
  readonly to?: number;
  readonly force?: boolean;
  readonly yes?: boolean;
}

export function generationRollbackCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'rollback',
    description: 'put an earlier generation in force; the next read is answered from it',
    example: 'tandem generation rollback repurchase --to 3',
  })
    .argument('<predictor>')
    .option('--to <number>', 'the generation (default: the one before it that was served as stable)', parseWhole(1))
    .option('--force', 'also to a generation of a model version that was never stable')
    .option('--yes', 'do not ask')
    .action(async (predictor: string, options: Options) => {
      const client = connect(cli, options);
      const { force = false } = options;
      const to = options.yes ? options.to : await agree(cli, client, predictor, { to: options.to ?? null, force });
      const result = await client.rollback(predictor, to, { force });
      present(cli, options, result, ({ from, to }) => [
        `${predictor}: generation ${to.generation} (model version ${to.modelVersion}) is in force${from === null ? '' : `, ${from.generation} no longer`}`,
      ]);
    });
}

/** Gives the generation that was agreed to: by now another one may be the one before. */
async function agree(cli: Cli, client: Client, predictor: string, wanted: WantedRollback): Promise<number> {
  askerOf(cli);
  const generations = (await client.generations(predictor)).map((one) => ({
    ...one,
    number: Number(one.generation),
    modelNumber: Number(one.modelVersion),
  }));
  const inForce = generations.find((one) => one.inForce) ?? null;
  const target = rollbackTarget(generations, inForce, wanted);
  await confirm(
    cli,
    `${predictor}: generation ${inForce?.number ?? 'none'} is in force. Put generation ${target.number} (model version ${target.modelVersion}) in force?`,
  );
  return target.number;
}
