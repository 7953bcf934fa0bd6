/**
 * `tandem model push`: uploads another model version, which is tried on real users and stored but does not serve
 * traffic yet.
 */
import { resolve } from 'node:path';
import type { PushInput } from '@tandem/client/wire';
import type { Command } from 'commander';
import {
  type ApiOptions,
  type Cli,
  createApiCommand,
  given,
  parseMetric,
  parseWhole,
  present,
} from '../command-line/command.ts';
import { usageError } from '../command-line/failure.ts';
import { readModelFile, readNamedFile, uploadVersion } from './model-file.ts';
import type { PushedConfig } from './pushed-config.ts';
import { renderPushed } from './render-model.ts';

interface Options extends ApiOptions {
  readonly features?: string;
  readonly asOf?: string;
  readonly rowByRow?: boolean;
  readonly label?: string;
  readonly note?: string;
  readonly metric?: Readonly<Record<string, number>>;
  readonly config?: string;
  readonly parent?: number;
  readonly build?: string;
}

export function modelPushCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'push',
    description: 'upload a model file as another version of a predictor; it is tried but does not serve traffic yet',
    detail: `The service tries it as \`tandem check\` does, on real users: alone, together, as a live read and as a run read them.
Settings not given here are taken from the stable version. Pushing the same again is harmless: an interrupted upload
resumes, and the same definition is the same model version. It then gets the note and the metrics of this push; without
--note or --metric it keeps its own.`,
    example: 'tandem model push repurchase model.onnx --features features.sql --metric auc=0.82 --label challenger',
  })
    .argument('<predictor>')
    .argument('[file]', 'the ONNX file (default: that of --config)')
    .option('--features <file>', 'a file with the feature query')
    .option('--as-of <column>', 'the query’s column with the load time of a row')
    .option('--row-by-row', 'infer each user alone: for int8 weights with a dynamic scale')
    .option('--config <path>', 'a config that defines everything, instead of the options above')
    .option('--note <text>', 'what changed, for people')
    .option('--label <label>', 'a label to move to the version')
    .option('--metric <name=number>', 'what you measured; may be given several times', parseMetric)
    .option('--parent <version>', 'of an optimised build: the version that it was made from', parseWhole(1))
    .option('--build <kind>', 'of an optimised build: int8, pruned, distilled')
    .action(async (predictor: string, file: string | undefined, options: Options) => {
      const pushed = await gather(cli, predictor, file, options);
      const version = await uploadVersion(cli, options, predictor, pushed, () => {
        cli.stderr.write('uploaded; the service tries it …\n');
      });
      present(cli, options, version, () => renderPushed(version));
    });
}

async function gather(cli: Cli, predictor: string, file: string | undefined, options: Options): Promise<PushedConfig> {
  const { note, label, metric: metrics, build } = options;
  const words = given({ note, label, metrics, build, parent: options.parent?.toString() });
  if (options.config === undefined) {
    if (file === undefined)
      throw usageError('no file is named', 'name the ONNX file, or a config: --config tandem.config.ts');
    return { model: await readModelFile(cli, file), push: { ...(await settingsOf(cli, options)), ...words } };
  }
  if (options.features ?? options.asOf ?? options.rowByRow) {
    throw usageError('--config already defines the features', 'leave out --features, --as-of and --row-by-row');
  }
  const { readPushedConfig } = await import('./pushed-config.ts');
  const config = await readPushedConfig(resolve(cli.cwd, options.config), predictor);
  const model = file === undefined ? config.model : await readModelFile(cli, file);
  return { model, push: { ...config.push, ...words } };
}

async function settingsOf(cli: Cli, { features, asOf, rowByRow }: Options): Promise<PushInput> {
  const sql = features === undefined ? undefined : (await readNamedFile(cli, features)).toString('utf8').trim();
  const said = given({ sql: sql?.replace(/;$/, ''), asOf });
  return given({ features: Object.keys(said).length === 0 ? undefined : said, rowByRow });
}
