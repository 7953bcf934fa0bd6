/** Writes recommended settings into an environment file: changes three lines, and keeps all others. */
import { access, chmod, constants, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommandFailure } from '../command-line/failure.ts';
import type { ProfileFigures, ProfileReport } from './profile-report.ts';

interface Written {
  readonly file: string;
  /** `before` is null for a new line. */
  readonly changes: readonly { readonly name: string; readonly before: string | null; readonly value: string }[];
  /** API processes that share what was measured. */
  readonly sharing: number;
}

/** A line of an environment file, as `docker compose`, systemd and `node --env-file` read it. */
const LINE = /^\s*(?:#.*|(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=.*)?\s*$/;

/** Returns the file's text, empty if there is none. Throws where it is not an environment file. */
export async function readSettingsFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new CommandFailure(`${file} cannot be read (${error.code})`, { remedy: 'name another file with --write' });
  });
  const wrong = text.split('\n').findIndex((line) => !LINE.test(line));
  if (wrong < 0) return text;
  throw new CommandFailure(`${file} is not an environment file: line ${wrong + 1} is not NAME=value`, {
    remedy: 'name one with --write, such as .env; these settings are not in tandem.config.ts',
  });
}

/**
 * Writes the recommended settings, for as many API processes as the file states. Throws if nothing is recommended, no setting
 * meets the target, or the version does not serve.
 * @param apiProcesses their number if the file does not state it
 */
export async function writeSettings(file: string, report: ProfileReport, apiProcesses: number): Promise<Written> {
  const { batch, processes, threads } = writable(file, report);
  let text = await readSettingsFile(file);
  const inFile = /^\s*(?:export\s+)?API_PROCESSES\s*=\s*["']?([1-9]\d*)/m.exec(text)?.[1];
  const sharing = inFile === undefined ? apiProcesses : Number(inFile);
  const settings = {
    INFERENCE_BATCH_LIMIT: batch,
    INFERENCE_PROCESSES: Math.max(1, Math.floor(processes / sharing)),
    INFERENCE_THREADS: threads,
  };
  const changes: { name: string; before: string | null; value: string }[] = [];
  for (const [name, number] of Object.entries(settings)) {
    const value = String(number);
    const assignment = new RegExp(`^(\\s*(?:export\\s+)?${name}\\s*=)(.*?)([ \\t]+#.*?)?(\\r?)$`, 'gm');
    const before = [...text.matchAll(assignment)].at(-1)?.[2]?.trim() ?? null;
    if (before === value) continue;
    changes.push({ name, before, value });
    if (before !== null) text = text.replace(assignment, `$1${value}$3$4`);
    else text += `${text === '' || text.endsWith('\n') ? '' : '\n'}${name}=${value}\n`;
  }
  if (changes.length > 0) await replaceFile(file, text);
  return { file, changes, sharing };
}

function writable(file: string, { predictor, recommended, stable, targetP99Ms }: ProfileReport): ProfileFigures {
  if (!recommended?.meetsTarget) {
    const missed =
      targetP99Ms === null ? 'no setting kept its processes' : `no setting keeps p99 within ${targetP99Ms} ms`;
    const why = recommended ? missed : 'nothing was measured';
    throw new CommandFailure(`${file} was not changed: ${why}`, { remedy: 'choose a longer --p99, or more --minutes' });
  }
  const { version } = recommended;
  if (version === stable) return recommended;
  const only =
    stable === null ? 'profile the version that serves' : `profile the version that serves: --versions ${stable}`;
  throw new CommandFailure(
    `${file} was not changed: the best settings are those of version ${version}, which does not serve`,
    {
      remedy: `${only}; or move users first: tandem rollout start ${predictor} ${version}`,
    },
  );
}

/**
 * Writes beside the file and renames, so that it is never half written: it may hold secrets that have no other copy.
 */
async function replaceFile(name: string, text: string): Promise<void> {
  // The target of a link is replaced, not the link.
  const file = await realpath(name).catch(() => name);
  const beside = `${file}.${process.pid}.tmp`;
  try {
    const mode = await stat(file).then(
      (found) => found.mode & 0o777,
      () => undefined,
    );
    await mkdir(dirname(file), { recursive: true });
    await writeFile(beside, text, { flag: 'wx', mode: mode ?? 0o666 });
    // The mode of a new file is masked.
    if (mode !== undefined) await chmod(beside, mode);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw cannotWrite(name, error, '--write');
  }
}

/** Creates the failure for a file that `option` named. */
export function cannotWrite(file: string, error: unknown, option: string): CommandFailure {
  const { code } = error as NodeJS.ErrnoException;
  return new CommandFailure(`${file} cannot be written (${code})`, { remedy: `name another file with ${option}` });
}

/** Throws where the file, or the folder that it is to be in, may not be written. */
export async function assertWritable(file: string, option: string): Promise<void> {
  for (let path = file; ; path = dirname(path)) {
    try {
      const found = await stat(path);
      if (path === file && found.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
      if (path !== file && !found.isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
      return await access(path, constants.W_OK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || path === dirname(path)) throw cannotWrite(file, error, option);
    }
  }
}

export function renderWritten({ file, changes, sharing }: Written): string[] {
  if (changes.length === 0) return [`Settings: ${file} has them already`];
  const lines = changes.map(
    ({ name, before, value }) => `  ${name}=${value}${before === null ? '' : ` (was ${before})`}`,
  );
  const shared = sharing > 1 ? [`  INFERENCE_PROCESSES is for each of ${sharing} API processes (API_PROCESSES)`] : [];
  return [
    `Settings: ${file}; an API, and a worker that reads this file, take them at their next start`,
    ...lines,
    ...shared,
  ];
}
