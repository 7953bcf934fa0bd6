/**
 * Finds a Python that can quantise, and runs quantise.py on files in a temporary folder, because they may contain
 * features of users.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CalibrationRows } from '@tandem/admission/calibration-rows';
import type { Cli } from '@tandem/commands/command';
import { CommandFailure } from '@tandem/commands/failure';
import type { WireTensor } from '@tandem/inference/process/protocol';

/** The Python packages of quantise.py in the tested versions. Other versions may work. */
const PACKAGES = 'onnx==1.23.2 onnxruntime==1.32.0';
const IMPORTS = 'import onnx, onnxruntime.quantization; print(onnxruntime.__version__)';
/** The time limit of the imports, in ms. They read some hundred files, maybe from a slow disk. */
const IMPORT_TIMEOUT_MS = 60_000;

const run = promisify(execFile);

/**
 * Returns the path of a Python that can make builds, because only onnxruntime for Python can quantise. If there is
 * none, rejects and says how to install one.
 */
export async function findPython({ cwd, env, signal }: Cli, said: string | undefined): Promise<string> {
  const python = said ?? 'python3';
  try {
    await run(python, ['-c', IMPORTS], { cwd, env, signal, timeout: IMPORT_TIMEOUT_MS });
    return python;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new CommandFailure(`making a build needs Python, but ${problemOf(python, cause)}`, {
      remedy: `create an environment: python3 -m venv build-python && build-python/bin/pip install ${PACKAGES}
  then add: --python build-python/bin/python`,
      cause,
    });
  }
}

function problemOf(python: string, cause: unknown): string {
  if (!(cause instanceof Error)) return `${python} does not run`;
  if ('code' in cause && cause.code === 'ENOENT') return `${python} does not exist`;
  if ('code' in cause && cause.code === 'EACCES') return `${python} is not executable`;
  const said = 'stderr' in cause ? String(cause.stderr).trimEnd().split('\n').at(-1) : undefined;
  return `${python} cannot make builds${said ? `: ${said}` : ''}`;
}

/** The exit code if a model has nothing that could become int8, equal to that of quantise.py. */
const EXIT_NOTHING_TO_QUANTISE = 3;

const SCRIPT = fileURLToPath(new URL('./quantise.py', import.meta.url));
/** The time limit in ms. Calibration runs the model on every row. */
const TIMEOUT_MS = 600_000;
const MOST_OUTPUT = 1 << 20;

/** The numpy names of element types, without strings. */
const NUMPY: Readonly<Record<Exclude<WireTensor['type'], 'string'>, string>> = {
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
  int8: '|i1',
  int16: '<i2',
  int32: '<i4',
  int64: '<i8',
  uint8: '|u1',
  uint16: '<u2',
  uint32: '<u4',
  uint64: '<u8',
  bool: '|b1',
};

/**
 * Creates an int8 build of a model file.
 * @param calibration the rows for a static build; null: a dynamic build
 */
export async function quantise(
  cli: Pick<Cli, 'env' | 'signal'>,
  python: string,
  model: Uint8Array,
  calibration: CalibrationRows | null,
) {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-build-'));
  try {
    const [source, target] = [join(folder, 'parent.onnx'), join(folder, 'build.onnx')];
    await writeFile(source, model);
    const how = calibration === null ? ['dynamic'] : ['static', await writeCalibration(folder, calibration)];
    const report = await runScript(cli, python, [SCRIPT, source, target, ...how], folder);
    return { model: await readFile(target), ...report };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Report {
  /** The number of matrix products and convolutions that became int8. */
  readonly quantised: number;
  readonly operators: readonly string[];
  /** The release of onnxruntime for Python that made the build. */
  readonly onnxruntime: string;
}

async function runScript(
  { env, signal }: Pick<Cli, 'env' | 'signal'>,
  python: string,
  args: readonly string[],
  cwd: string,
): Promise<Report> {
  try {
    const options = { cwd, env, signal, timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT };
    return reportIn((await run(python, [...args], options)).stdout);
  } catch (cause) {
    if (signal.aborted || !(cause instanceof Error)) throw signal.reason ?? cause;
    const { code, stdout = '', stderr = '' } = cause as Error & { code?: unknown; stdout?: string; stderr?: string };
    if (code === EXIT_NOTHING_TO_QUANTISE) throw nothingToQuantise(reportIn(stdout));
    throw new CommandFailure(`the int8 build could not be made: ${lastLine(stderr) || cause.message}`, {
      remedy: 'check that this Python can run the model, or make the build elsewhere and use tandem build register',
      cause,
    });
  }
}

/** Returns the last line, because libraries may print other lines before it. */
function reportIn(stdout: string): Report {
  return JSON.parse(lastLine(stdout)) as Report;
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

function nothingToQuantise({ operators }: Report): CommandFailure {
  const trees = operators.some((name) => name.startsWith('TreeEnsemble'));
  const problem = trees
    ? 'trees have nothing to quantise: they compare features with thresholds and multiply nothing'
    : `the model has nothing to quantise: no float32 matrix product or convolution (it has ${operators.join(', ')})`;
  const remedy = trees
    ? 'make the model smaller instead (fewer or shallower trees, or a distilled model), then run tandem build register'
    : 'make the build elsewhere, then run tandem build register';
  return new CommandFailure(problem, { remedy, exitCode: EXIT_NOTHING_TO_QUANTISE });
}

/** Writes the calibration rows and their manifest. Returns the path of the manifest. */
async function writeCalibration(folder: string, { tensors }: CalibrationRows): Promise<string> {
  const manifest = await Promise.all(
    tensors.map(async ({ name, type, dims, data }, i) => {
      if (type === 'string' || !('buffer' in data)) {
        throw new CommandFailure(`a static build is calibrated on numbers, but input ${name} takes strings`, {
          remedy: 'make a dynamic build: leave out --static',
        });
      }
      const file = `input-${i}.bin`;
      await writeFile(join(folder, file), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return { name, type: NUMPY[type], dims, file };
    }),
  );
  const path = join(folder, 'calibration.json');
  await writeFile(path, JSON.stringify(manifest));
  return path;
}
