/** `tandem build register`: an optimised build that was made elsewhere, beside the model version that it was made of. */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createApiCommand, group } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';
import { readModelFile } from '../models/read-model-file.ts';
import { buildCompareCommand } from './compare.ts';
import { buildCreateCommand } from './create.ts';
import { type PushBuildOptions, pushBuild, withBuildWords } from './push-build.ts';

export function buildCommands(cli: Cli): Command {
  return group('build', 'optimised builds: int8, pruned, distilled; beside the model version that they were made of', [
    buildCreateCommand(cli),
    buildRegisterCommand(cli),
    buildCompareCommand(cli),
  ]);
}

const KINDS = ['int8', 'pruned', 'distilled', 'other'];

interface Options extends PushBuildOptions {
  readonly kind: string;
}

function buildRegisterCommand(cli: Cli): Command {
  const command = createApiCommand({
    name: 'register',
    description: 'upload an optimised build that was made elsewhere; it is tried, and served by nobody yet',
    detail: 'Its feature query, inputs and outputs are those of the version that it was made of.',
    example: 'tandem build register repurchase 2 pruned.onnx --kind pruned',
  })
    .argument('<predictor>')
    .argument('<parent>', 'the model version that it was made of', parseWhole(1))
    .argument('<file>', 'the ONNX file')
    .addOption(new Option('--kind <kind>', 'what was done').choices(KINDS).makeOptionMandatory());
  return withBuildWords(command).action(
    async (predictor: string, parent: number, file: string, { kind, ...options }: Options) => {
      await pushBuild(cli, { predictor, parent, kind, model: await readModelFile(cli, file) }, options);
    },
  );
}
