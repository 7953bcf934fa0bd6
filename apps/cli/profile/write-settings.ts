/** Writes recommended settings to an environment file. Changes three lines and keeps all others. */
import { access, chmod, constants, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommandFailure } from '@tandem/commands/failure';
import type { ProfileFigures, ProfileReport } from './profile-report.ts';

/**
 * The changed lines, where `before` is null for a new line, and the number of API processes that share the measured
 * processes.
 */
type Written = Awaited<ReturnType<typeof writeSettings>>;

/** Matches a line of an environment file as `docker compose`, systemd and `node --env-file` read it. */
const LINE = /^\s*(?:#.*|(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=.*)?\s*$/;

/** Returns the text of the file; empty if it does not exist. Throws if it is not an environment file. */
export async function readSettingsFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new CommandFailure(`${file} cannot be read (${error.code})`, { remedy: 'name another file with --write' });
  });
  const wrong = text.split('\n').findIndex((line) => !LINE.test(line));
  if (wrong < 0) return text;
  throw new CommandFailure(`${file} is not an environment file: line ${wrong + 1} is not NAME=value`, {
    remedy: 'set --write to an environment file such as .env; these settings are not in tandem.config.ts',
  });
}

/**
 * Writes the recommended settings for the number of API processes in the file. Throws if nothing is recommended, if no
 * setting meets the target, or if the version does not serve.
 * @param apiProcesses their number if it is not in the file
 */
export async function writeSettings(file: string, report: ProfileReport, apiProcesses: number) {
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
      targetP99Ms === null
        ? 'inference processes crashed with every setting'
        : `no setting keeps p99 within ${targetP99Ms} ms`;
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
 * Writes a new file and renames it, so that the file is never half written. The file may contain secrets of which there
 * is no other copy.
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
    // The umask may have changed the mode of the new file.
    if (mode !== undefined) await chmod(beside, mode);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw cannotWrite(name, error, '--write');
  }
}

/** Returns the failure for the file of an option. */
export function cannotWrite(file: string, error: unknown, option: string): CommandFailure {
  const { code } = error as NodeJS.ErrnoException;
  return new CommandFailure(`${file} cannot be written (${code})`, { remedy: `name another file with ${option}` });
}

/** Throws if the file or its folder may not be written. */
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
  if (changes.length === 0) return [`Settings: ${file} already has them`];
  const lines = changes.map(
    ({ name, before, value }) => `  ${name}=${value}${before === null ? '' : ` (was ${before})`}`,
  );
  const shared = sharing > 1 ? [`  INFERENCE_PROCESSES is for each of ${sharing} API processes (API_PROCESSES)`] : [];
  return [
    `Settings: ${file}; APIs and workers that read this file use them after their next start`,
    ...lines,
    ...shared,
  ];
}
