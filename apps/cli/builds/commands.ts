/**
 * `tandem build create` and `register`: create an optimised build or take one from a file, and push it with the
 * settings of its parent.
 */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option, type OptionValues } from '@commander-js/extra-typings';
import type { CalibrationRows } from '@tandem/admission/calibration-rows';
import type { ModelDetail } from '@tandem/client/wire';
import {
  type ApiOptions,
  type Cli,
  createApiCommand,
  given,
  group,
  parseMetric,
  parseWhole,
  present,
} from '@tandem/commands/command';
import { findDatabaseUrls, withDatabases } from '@tandem/commands/environment';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { count } from '@tandem/commands/output/text';
import { isProblem } from '@tandem/transport/client-errors';
import { connect } from '../client/connect.ts';
import { readModelFile, uploadVersion } from '../models/model-file.ts';
import { renderPushed } from '../models/render-model.ts';
import { buildCompareCommand } from './compare.ts';
import { findPython, quantise } from './quantise.ts';

const ROWS = 500;

function buildCreateCommand(cli: Cli) {
  const command = createApiCommand({
    name: 'create',
    description:
      'create an int8 build of a model version and push it; the build is tried but does not serve traffic yet',
    detail: `Needs a Python with onnx and onnxruntime, and says how to install one. A dynamic build computes its scales in each
inference, so users may have to be inferred one by one (--row-by-row). A static build is calibrated on rows of real users, read
from the database (DATABASE_URL, FEATURES_DATABASE_URL), from the half that comparisons leave out. The rows are kept in a
temporary folder, which is deleted afterwards.
The exit code is 3 if the model has nothing to quantise, for example if it consists of trees.`,
    example: 'tandem build create repurchase 2 --kind int8 --static --python build-python/bin/python',
  })
    .argument('<predictor>')
    .argument('<version>', 'the model version to optimise', parseWhole(1))
    .addOption(new Option('--kind <kind>', 'the kind of build').choices(['int8']).default('int8'))
    .option('--static', 'make a static build: calibrate the scales on rows of real users')
    .option('--rows <count>', `the number of users for a static build (default: ${ROWS})`, parseWhole(1))
    .option('--python <path>', 'the Python that makes the build (default: python3)')
    .option('--output <file>', 'also write the build to this file, even if the service rejects it');
  return withBuildWords(command).action(async (predictor, parent, options) => {
    if (options.rows !== undefined && !options.static) {
      throw usageError('--rows requires a static build', 'add --static');
    }
    const python = await findPython(cli, options.python);
    const client = connect(cli, options);
    const version = await client.modelVersion(predictor, String(parent), { signal: cli.signal });
    const file = await client.artifactFile(version.artifact, { signal: cli.signal });
    const calibration = options.static ? await readCalibration(cli, predictor, parent, options.rows ?? ROWS) : null;
    const built = await quantise(cli, python, file, calibration);
    if (options.output !== undefined) await writeFile(resolve(cli.cwd, options.output), built.model);
    const how = calibration === null ? 'dynamic' : `static, calibrated on ${count(calibration.users)} users`;
    const sizes = `${count(file.length)} → ${count(built.model.length)} bytes`;
    cli.stderr.write(`made an int8 build: ${how}; ${count(built.quantised)} products; ${sizes}\n`);
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
    throw new CommandFailure(
      `DATABASE_URL has no model version ${number} of ${predictor}: it belongs to another service`,
      {
        remedy: 'set DATABASE_URL to the database of the API in --url',
      },
    );
  });
}

export function buildCommands(cli: Cli) {
  return group('build', 'optimised builds of a model version: int8, pruned, distilled', [
    buildCreateCommand(cli),
    buildRegisterCommand(cli),
    buildCompareCommand(cli),
  ]);
}

const KINDS = ['int8', 'pruned', 'distilled', 'other'];

function buildRegisterCommand(cli: Cli) {
  const command = createApiCommand({
    name: 'register',
    description: 'upload an optimised build made elsewhere; the build is tried but does not serve traffic yet',
    detail: 'The build has the feature query, inputs and outputs of its parent.',
    example: 'tandem build register repurchase 2 pruned.onnx --kind pruned',
  })
    .argument('<predictor>')
    .argument('<parent>', 'the model version that the build was made from', parseWhole(1))
    .argument('<file>', 'the ONNX file')
    .addOption(new Option('--kind <kind>', 'the kind of optimisation').choices(KINDS).makeOptionMandatory());
  return withBuildWords(command).action(async (predictor, parent, file, { kind, ...options }) => {
    await pushBuild(cli, { predictor, parent, kind, model: await readModelFile(cli, file) }, options);
  });
}

interface PushBuildOptions extends ApiOptions {
  readonly rowByRow?: boolean;
  readonly label?: string;
  readonly note?: string;
  readonly metric?: Readonly<Record<string, number>>;
}

interface Build {
  readonly predictor: string;
  /** Number of the parent version. */
  readonly parent: number;
  readonly kind: string;
  readonly model: Uint8Array;
}

/** Adds the options that describe a build to a command. */
function withBuildWords<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .option('--row-by-row', 'infer each user alone, for int8 weights with a dynamic scale')
    .option('--note <text>', 'a note on how it was made')
    .option('--label <label>', 'a label to move to this version')
    .option('--metric <name=number>', 'a measured value; may be repeated', parseMetric);
}

/** Pushes a build and presents the stored version. Its query, inputs and outputs are those of its parent. */
async function pushBuild(cli: Cli, build: Build, options: PushBuildOptions): Promise<void> {
  const version = await send(cli, build, options);
  if (version.parent !== String(build.parent)) throw knownOtherwise(version, build);
  present(cli, options, version, () => [
    ...renderPushed(version),
    `  before it: tandem build compare ${version.predictor} ${version.modelVersion}`,
  ]);
}

function send(cli: Cli, { predictor, parent, kind, model }: Build, options: PushBuildOptions) {
  const { rowByRow, label, note, metric } = options;
  const push = {
    ...{ parent: String(parent), build: kind },
    ...given({ rowByRow, label, note, metrics: metric }),
  };
  return uploadVersion(cli, options, predictor, { model, push }).catch((error: unknown) => {
    throw inWordsOfCommand(error);
  });
}

/** Replaces the setting `rowByRow` in an error of the service by the option of this command. */
function inWordsOfCommand(error: unknown): unknown {
  if (!isProblem(error, 'model_refused') || !error.remedy?.startsWith('Set rowByRow: true')) return error;
  return new CommandFailure(`the build was rejected: ${error.message}`, {
    remedy:
      'add --row-by-row, which infers each user alone; or make a static build, whose scales do not depend on a batch: --static',
    cause: error,
  });
}

function knownOtherwise({ modelVersion, parent, build }: ModelDetail, { kind, parent: said }: Build): CommandFailure {
  const known = parent === null ? 'a version without a parent' : `the ${build} build of model version ${parent}`;
  return new CommandFailure(
    `this file with these features is already model version ${modelVersion}, which is recorded as ${known}, but the command says ${kind} build of ${said}`,
    { remedy: 'use the recorded kind and parent, or make the build again' },
  );
}
