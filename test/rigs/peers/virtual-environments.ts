/**
 * Makes a Python virtual environment for each peer, from requirements that pin every package. The environments are in
 * `.tandem/peers`, outside version control, and are made again if the requirements have changed.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const ENVIRONMENTS = ['fastapi', 'mlserver', 'bentoml', 'feast', 'ray'] as const;
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

/** The versions of Python for which the pinned packages have wheels. */
const OLDEST_PYTHON = [3, 10];
const NEWEST_PYTHON = [3, 12];

export interface Environment {
  readonly name: EnvironmentName;
  readonly python: string;
  /** The folder of the programs, such as `uvicorn` and `mlserver`. */
  readonly bin: string;
}

export interface PrepareOptions {
  /** The folder of the environments; each has a subfolder with its name. */
  readonly folder: string;
  /** The Python program: a name or a path. */
  readonly python: string;
  /** Whether to use existing environments without an install. */
  readonly skipInstall: boolean;
  say(line: string): void;
}

/** Creates the environment if it is missing or outdated. Throws with a message that has the remedy. */
export async function prepareEnvironment(name: EnvironmentName, options: PrepareOptions): Promise<Environment> {
  const { folder, python, skipInstall, say } = options;
  const path = join(folder, name);
  const environment = { name, python: join(path, 'bin', 'python'), bin: join(path, 'bin') };
  const requirements = join(import.meta.dirname, 'requirements', `${name}.txt`);
  const wanted = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex');
  const marker = join(path, 'requirements.sha256');
  const found = await readFile(marker, 'utf8').catch(() => null);
  if (found === wanted) return environment;
  if (skipInstall) {
    const state = found === null ? 'is not installed' : 'was installed from other requirements';
    throw new Error(`${name} ${state} in ${path}: leave out --skip-install`);
  }
  say(`installing ${name} into ${path} (one to four minutes)`);
  await rm(path, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await run(python, ['-m', 'venv', path]);
  await install(environment, requirements);
  await writeFile(marker, wanted);
  return environment;
}

async function install({ name, python }: Environment, requirements: string): Promise<void> {
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', requirements];
  await run(python, args, { maxBuffer: 16 * 2 ** 20 }).catch((error: { stderr?: string; message: string }) => {
    const said = (error.stderr || error.message).trim().split('\n').slice(-5).join('\n');
    throw new Error(`the packages of ${name} could not be installed; leave it out with --only\n${said}`);
  });
}

/** Returns Python's version, such as `3.11.7`. Throws if the pinned packages do not support it. */
export async function checkPython(python: string): Promise<string> {
  const hint = 'install Python 3.11 with its venv module, or name another with --python';
  const script = 'import sys, venv, ensurepip; print("%d.%d.%d" % sys.version_info[:3])';
  const { stdout } = await run(python, ['-c', script]).catch((error: { code?: string; stderr?: string }) => {
    const why =
      error.code === 'ENOENT' ? 'is not on the PATH' : `does not run: ${error.stderr?.trim().split('\n').at(-1)}`;
    throw new Error(`${python} ${why}: ${hint}`);
  });
  const version = stdout.trim();
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isAtLeast = ([a = 0, b = 0]: number[]) => major > a || (major === a && minor >= b);
  const isNewer = major > (NEWEST_PYTHON[0] ?? 0) || minor > (NEWEST_PYTHON[1] ?? 0);
  if (isAtLeast(OLDEST_PYTHON) && !isNewer) return version;
  throw new Error(
    `${python} is Python ${version}, and the peers need ${OLDEST_PYTHON.join('.')} to ${NEWEST_PYTHON.join('.')}: ${hint}`,
  );
}

/** Returns the pinned versions of some of a peer's packages, such as `fastapi 0.163.2`. */
export async function pinnedVersions(name: EnvironmentName, packages: readonly string[]): Promise<string[]> {
  const text = await readFile(join(import.meta.dirname, 'requirements', `${name}.txt`), 'utf8');
  return packages.map((one) => {
    const version = new RegExp(`^${one}==(\\S+)`, 'm').exec(text)?.[1];
    if (version === undefined) throw new Error(`requirements/${name}.txt does not pin ${one}`);
    return `${one} ${version}`;
  });
}
