/**
 * The Python client that openapi-python-client generates from an OpenAPI document. The generator is installed once, from a
 * package index, into a separate virtual environment in the tests' cache folder.
 */
import { execFile } from 'node:child_process';
import { access, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const GENERATOR = 'openapi-python-client==0.29.1';

const run = promisify(execFile);

export interface PythonTools {
  readonly python: string;
  /** Generates the package `tandem_client` in the folder. Rejects with the generator's error if it cannot read the document. */
  generate(document: string, folder: string): Promise<void>;
}

/** Finds or installs the tools. Rejects if Python 3.11 or newer with `venv`, or a package index, is missing. */
export async function findPythonTools(): Promise<PythonTools> {
  const environment = join(tmpdir(), `tandem-test-${GENERATOR.replace('==', '-')}`);
  const bin = join(environment, 'bin');
  const python = join(bin, 'python');
  const isComplete = join(environment, 'complete');
  if (!(await exists(isComplete))) {
    await rm(environment, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', environment]);
    await run(python, ['-m', 'pip', 'install', '--quiet', GENERATOR]);
    await writeFile(isComplete, '');
  }
  return {
    python,
    async generate(document, folder) {
      const output = join(folder, 'tandem_client');
      const options = ['--meta', 'none', '--fail-on-warning', '--path', document, '--output-path', output];
      // The generator formats its output with ruff, which must be on the PATH.
      const env = { ...process.env, PATH: [bin, process.env.PATH].join(delimiter) };
      await run(join(bin, 'openapi-python-client'), ['generate', ...options], { env });
    },
  };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
