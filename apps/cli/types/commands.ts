/** `tandem types`: writes TypeScript types of the predictors in a config. */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { type Cli, createCommand, present } from '@tandem/commands/command';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { renderPredictorTypes } from './render-predictor-types.ts';

const DEFAULT_CONFIG = 'tandem.config.ts';

export function typesCommand(cli: Cli) {
  return createCommand({
    name: 'types',
    description: 'write TypeScript types of the predictors in a config, for the client',
    detail: `With createClient<Predictors>(), a wrong predictor, output or request feature does not compile. Reads only the
config: no server, database or model file. Without --out, prints the types.
Exit codes: 0 if written or up to date; 1 if --check finds the file out of date; 2 for wrong usage.`,
    example: 'tandem types --out src/tandem.types.ts',
  })
    .option('--config <path>', 'the config, or its folder', DEFAULT_CONFIG)
    .option('--out <file>', 'the file to write')
    .option('--check', 'write nothing, and fail if the file is not up to date')
    .action(async ({ config, out, ...options }) => {
      if (options.check && out === undefined) {
        throw usageError('--check requires the file to compare', 'add --out <file>');
      }
      const { readConfigForm } = await import('@tandem/config/predictor/load-config');
      const { file: configFile, form } = await readConfigForm(resolve(cli.cwd, config));
      const types = renderPredictorTypes(form, basename(configFile));
      if (out === undefined) return present(cli, options, { types }, () => types.trimEnd().split('\n'));
      const file = resolve(cli.cwd, out);
      const isCurrent = (await readText(file)) === types;
      if (options.check && !isCurrent) throw outOfDate(out, config);
      if (!isCurrent) await writeFile(file, types);
      present(cli, options, { file, written: !isCurrent }, () => [`${out} ${isCurrent ? 'is up to date' : 'written'}`]);
    });
}

function outOfDate(out: string, config: string): CommandFailure {
  const named = config === DEFAULT_CONFIG ? '' : ` --config ${config}`;
  return new CommandFailure(`${out} is out of date: it does not have the types of ${config}`, {
    remedy: `run tandem types${named} --out ${out}, and commit the file`,
  });
}

/** Returns the text of a file with normalised line ends; undefined if it does not exist. */
async function readText(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).replaceAll('\r\n', '\n');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
