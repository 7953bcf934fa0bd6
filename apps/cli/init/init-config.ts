/** Writes a config from a model file and a table: reads both, matches them, and writes a first config. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import type { Databases } from '@tandem/commands/environment';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { PREDICTOR_NAME } from '@tandem/config/predictor/config-schema';
import { measureModel } from '@tandem/inference/admission/check-model';
import { featureNames } from '@tandem/inference/model-file/model-facts';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import { inputMisfits, isTensorType } from '@tandem/prediction/models/input-fit';
import { MAX_MODEL_BYTES, SMALLER_MODEL, tooLargeForModel } from '@tandem/prediction/models/model-limits';
import { findServed } from '../check/read-config.ts';
import { type InputTensor, matchInputs } from './match-inputs.ts';
import { matchOutputs } from './match-outputs.ts';
import { readTable } from './read-table.ts';
import { writeConfig } from './write-config.ts';

export const DEFAULT_CONFIG = 'tandem.config.ts';

interface InitRequest {
  readonly model: string;
  readonly table: string;
  readonly key: string;
  readonly predictor: string | undefined;
  readonly config: string;
  readonly force: boolean;
  readonly cwd: string;
  /** Memory limit of the process that inspects the model. */
  readonly memoryLimitMb: number;
}

/**
 * The written config and its surroundings. `file` is absolute. `served` are other served predictors, which adopting
 * only this file would withdraw. `isReplacing`: a predictor with this name is served, which adopting the file would
 * replace. `isBeside`: the folder has a tandem.config.ts, which should have all predictors. `isMigrated`: the database
 * has the schema of this release.
 */
export type InitResult = Awaited<ReturnType<typeof initConfig>>;

/** Writes the config. Throws a CommandFailure and writes nothing if the model or the table cannot be used. */
export async function initConfig({ pool, features }: Databases, request: InitRequest) {
  const file = await placeFor(resolve(request.cwd, request.config), request.force);
  const modelFile = resolve(request.cwd, request.model);
  const bytes = await readModel(modelFile);
  const predictor = checkedName(request.predictor) ?? nameFor(modelFile);
  const limits = { memoryLimitMb: request.memoryLimitMb, niceSteps: 0, field: request.model };
  const signature = await measureModel(bytes, limits);
  const tensors = usableInputs(signature.inputs);
  const outputs = matchOutputs(signature.outputs);
  if (!outputs.ok) throw new CommandFailure(`${request.model}: ${outputs.problem}`, { remedy: outputs.remedy });
  const table = await readTable(features, request.table, request.key);
  const inputs = matchInputs(tensors, table, featureNames(bytes));
  const rowByRow = tensors.some(({ shape }) => shape[0] === 1);
  const model = fromConfig(file, modelFile);
  const text = writeConfig({ predictor, model, table, inputs, outputs: outputs.outputs, rowByRow });
  await writeFile(file, text, { flag: request.force ? 'w' : 'wx' });
  const isMigrated = (await schemaState(pool)).state === 'current';
  const all = await findServed(pool);
  const served = all.filter((name) => name !== predictor);
  const isBeside = basename(file) !== DEFAULT_CONFIG && (await isThere(join(dirname(file), DEFAULT_CONFIG)));
  const beside = { served, isReplacing: all.includes(predictor), isBeside };
  return { file, predictor, tensors, table, inputs, outputs: outputs.outputs, isMigrated, ...beside };
}

const isThere = async (file: string) => (await stat(file).catch(() => null)) !== null;

async function placeFor(path: string, force: boolean): Promise<string> {
  const facts = await stat(path).catch(() => null);
  const file = facts?.isDirectory() ? join(path, DEFAULT_CONFIG) : path;
  if (!(await stat(dirname(file)).catch(() => null))?.isDirectory()) {
    throw new CommandFailure(`the folder ${dirname(file)} does not exist`, {
      remedy: 'create it, or name another place with --config',
    });
  }
  if (extname(file) !== '.ts') {
    throw usageError(
      `${file} does not end in .ts, but a config must be TypeScript`,
      'use a name such as --config ./tandem.config.ts',
    );
  }
  if (force || !(await isThere(file))) return file;
  throw new CommandFailure(`${file} exists and was not changed`, {
    remedy: 'write another file with --config, or overwrite this one with --force',
  });
}

async function readModel(file: string): Promise<Buffer> {
  const facts = await stat(file).catch(() => null);
  if (!facts?.isFile()) {
    throw new CommandFailure(`the model file ${file} does not exist`, {
      remedy: 'set --model to the path of the ONNX file, relative to this folder',
    });
  }
  if (facts.size > MAX_MODEL_BYTES) {
    throw new CommandFailure(`${file} ${tooLargeForModel(facts.size)}`, { remedy: SMALLER_MODEL });
  }
  return readFile(file);
}

function checkedName(said: string | undefined): string | undefined {
  if (said === undefined || PREDICTOR_NAME.test(said)) return said;
  throw usageError(
    `${said} is not a valid name of a predictor`,
    'begin with a lower-case letter, then use at most 62 characters of a-z, 0-9, _ and -',
  );
}

/** Returns the name for a file: `Churn v2.onnx` → `churn_v2`. */
function nameFor(modelFile: string): string {
  const bare = basename(modelFile, extname(modelFile)).toLowerCase();
  const name = bare
    .replace(/[^a-z0-9_-]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')
    .slice(0, 63);
  return name === '' ? 'predictor' : name;
}

function usableInputs(inputs: Awaited<ReturnType<typeof measureModel>>['inputs']): readonly InputTensor[] {
  return inputs.map(({ name, type, shape }) => {
    if (isTensorType(type) && shape.length <= 2) return { name, shape, type };
    const [misfit] = inputMisfits({ name, type, shape }, [], true);
    throw new CommandFailure(misfit?.problem ?? '', { remedy: misfit?.remedy ?? '' });
  });
}

/** Returns the path with `./`, as a config needs it. */
function fromConfig(file: string, modelFile: string): string {
  const path = relative(dirname(file), modelFile).split(sep).join('/');
  return path.startsWith('.') || path.startsWith('/') ? path : `./${path}`;
}
