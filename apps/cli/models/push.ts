/**
 * `tandem model push`: uploads another model version, which is tried on real users and stored but does not serve
 * traffic yet.
 */
import { resolve } from 'node:path';
import type { PushInput } from '@tandem/client/wire';
import {
  type Cli,
  createApiCommand,
  given,
  type OptionsOf,
  parseMetric,
  parseWhole,
  present,
} from '@tandem/commands/command';
import { usageError } from '@tandem/commands/failure';
import { readModelFile, readNamedFile, uploadVersion } from './model-file.ts';
import type { PushedConfig } from './pushed-config.ts';
import { renderPushed } from './render-model.ts';

function createPushCommand() {
  return createApiCommand({
    name: 'push',
    description: 'upload a model file as another version of a predictor; it is tried but does not serve traffic yet',
    detail: `The service tries it on real users, as \`tandem check\` does: alone, in a batch, in a live read and in a run.
Settings that are not given are taken from the stable version. A push can be repeated: an interrupted upload
resumes, and the same definition is the same model version. The version then gets the note and the metrics of this push; without
--note or --metric it keeps its note or metrics.`,
    example: 'tandem model push repurchase model.onnx --features features.sql --metric auc=0.82 --label challenger',
  })
    .argument('<predictor>')
    .argument('[file]', 'the ONNX file (default: the model of --config)')
    .option('--features <file>', 'a file with the feature query')
    .option('--as-of <column>', 'the column of the query with the load time of a row')
    .option('--row-by-row', 'infer each user alone, for int8 weights with a dynamic scale')
    .option('--config <path>', 'a config that defines everything, instead of the options above')
    .option('--note <text>', 'a note on what changed')
    .option('--label <label>', 'a label to move to this version')
    .option('--metric <name=number>', 'a measured value; may be repeated', parseMetric)
    .option('--parent <version>', 'for an optimised build: the model version that it was made from', parseWhole(1))
    .option('--build <kind>', 'for an optimised build: int8, pruned or distilled');
}

type Options = OptionsOf<typeof createPushCommand>;

export function modelPushCommand(cli: Cli) {
  return createPushCommand().action(async (predictor, file, options) => {
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
      throw usageError(
        'no model file is given',
        'add the path of the ONNX file, or use a config: --config tandem.config.ts',
      );
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
