/** The Python that makes builds: quantisation is onnxruntime's own, and has no twin outside of Python. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Cli } from '../command-line/cli.ts';
import { CommandFailure } from '../command-line/failure.ts';

/** What it must be able to import, as tried; others may do. */
const PACKAGES = 'onnx==1.23.2 onnxruntime==1.32.0';
const PROGRAM = 'import onnx, onnxruntime.quantization; print(onnxruntime.__version__)';
/** Imports read some hundred files, also from a slow disk. */
const TIMEOUT_MS = 60_000;

const run = promisify(execFile);

/** Gives the program's path. Rejects with how to make one where there is none that can do it. */
export async function findPython({ cwd, env, signal }: Cli, said: string | undefined): Promise<string> {
  const python = said ?? 'python3';
  try {
    await run(python, ['-c', PROGRAM], { cwd, env, signal, timeout: TIMEOUT_MS });
    return python;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new CommandFailure(`a build is made with Python, and ${problemOf(python, cause)}`, {
      remedy: `make one: python3 -m venv build-python && build-python/bin/pip install ${PACKAGES}
  then add: --python build-python/bin/python`,
      cause,
    });
  }
}

function problemOf(python: string, cause: unknown): string {
  if (!(cause instanceof Error)) return `${python} does not run`;
  if ('code' in cause && cause.code === 'ENOENT') return `there is no ${python}`;
  if ('code' in cause && cause.code === 'EACCES') return `${python} may not be run`;
  const said = 'stderr' in cause ? String(cause.stderr).trimEnd().split('\n').at(-1) : undefined;
  return `${python} cannot do it${said ? `: ${said}` : ''}`;
}
