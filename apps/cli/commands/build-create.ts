/** `tandem build create`: makes an int8 build of a model version, where Python can, and pushes it beside its parent. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CalibrationRows } from '@tandem/admission/calibration-rows';
import { type Command, Option } from 'commander';
import { findPython } from '../builds/find-python.ts';
import { type PushBuildOptions, pushBuild, withBuildWords } from '../builds/push-build.ts';
import { quantise } from '../builds/quantise.ts';
import type { Cli } from '../cli.ts';
import { connect, createApiCommand } from '../command-line/create-command.ts';
import { parseWhole } from '../command-line/parse-options.ts';
import { CommandFailure, EXIT_USAGE } from '../failure.ts';
import { count } from '../output/quantities.ts';
import { findDatabaseUrls } from '../servers/addresses.ts';
import { withDatabases } from '../servers/databases.ts';

interface Options extends PushBuildOptions {
  readonly kind: 'int8';
  readonly static?: boolean;
  readonly rows?: number;
  readonly python?: string;
  readonly output?: string;
}

const ROWS = 500;

export function buildCreateCommand(cli: Cli): Command {
  const command = createApiCommand({
    name: 'create',
    description: 'make an int8 build of a model version and push it; it is tried, and served by nobody yet',
    detail: `Needs a Python with onnx and onnxruntime, and says how to get one. A dynamic build scales what it multiplies run by run,
so that users may have to be inferred one by one (--row-by-row); a static one is calibrated on rows of real users, read
from the database (DATABASE_URL, FEATURES_DATABASE_URL), of the half that comparisons leave out. They lie in a folder that is gone afterwards.
Ends with 3 where the model has nothing to quantise, as trees have not.`,
    example: 'tandem build create repurchase 2 --kind int8 --static --python build-python/bin/python',
  })
    .argument('<predictor>')
    .argument('<version>', 'the model version to make it of', parseWhole(1))
    .addOption(new Option('--kind <kind>', 'what to make').choices(['int8']).default('int8'))
    .option('--static', 'scales from rows of real users, rather than run by run')
    .option('--rows <count>', `users of a static build (default: ${ROWS})`, parseWhole(1))
    .option('--python <path>', 'the Python to make it with (default: python3)')
    .option('--output <file>', 'keep the file here too, also where it is refused');
  return withBuildWords(command).action(async (predictor: string, parent: number, options: Options) => {
    if (options.rows !== undefined && !options.static) throw rowsWithoutStatic();
    const python = await findPython(cli, options.python);
    const client = connect(cli, options);
    const version = await client.modelVersion(predictor, String(parent), { signal: cli.signal });
    const file = await client.artifactFile(version.artifact, { signal: cli.signal });
    const calibration = options.static ? await readCalibration(cli, predictor, parent, options.rows ?? ROWS) : null;
    const built = await quantise(cli, python, file, calibration);
    if (options.output !== undefined) await writeFile(resolve(cli.cwd, options.output), built.model);
    const how = calibration === null ? 'dynamic' : `static, calibrated on ${count(calibration.users)} users`;
    const sizes = `${count(file.length)} → ${count(built.model.length)} bytes`;
    cli.stderr.write(`made an int8 build: ${how}; ${count(built.products)} products; ${sizes}\n`);
    const note = options.note ?? `${how}, by onnxruntime ${built.onnxruntime}`;
    await pushBuild(cli, { predictor, parent, kind: options.kind, model: built.model }, { ...options, note });
  });
}

async function readCalibration(cli: Cli, predictor: string, number: number, rows: number): Promise<CalibrationRows> {
  const { listModelVersions } = await import('@tandem/offline-store/models/model-versions');
  const { readCalibrationRows } = await import('@tandem/admission/calibration-rows');
  const choice = { applicationName: 'tandem-build', statementTimeoutMs: 30_000 };
  return withDatabases(findDatabaseUrls(cli), choice, async ({ pool, features }) => {
    const [version] = await listModelVersions(pool, { predictor, number });
    if (version) return await readCalibrationRows(features, version, rows);
    throw new CommandFailure(`DATABASE_URL is of another service: it has no model version ${number} of ${predictor}`, {
      remedy: 'name the database of the API that --url names',
    });
  });
}

function rowsWithoutStatic(): CommandFailure {
  return new CommandFailure('--rows are for a static build', { remedy: 'add --static', exitCode: EXIT_USAGE });
}
