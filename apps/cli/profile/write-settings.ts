/** Writes recommended settings into an environment file: three lines, whatever else it holds stays as it is. */
import { readFile, writeFile } from 'node:fs/promises';
import { CommandFailure } from '../command-line/failure.ts';
import type { ProfileReport } from './profile-report.ts';

interface Written {
  readonly file: string;
  /** `before` is null for a new line. */
  readonly changes: readonly { readonly name: string; readonly before: string | null; readonly value: string }[];
}

/** A line of an environment file, as `docker compose`, systemd and `node --env-file` read it. */
const LINE = /^\s*(?:#.*|(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=.*)?\s*$/;

/** The file's text, empty where there is none. Throws where it is no environment file. */
export async function readSettingsFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new CommandFailure(`${file} cannot be read (${error.code})`, { remedy: 'name another file with --write' });
  });
  const wrong = text.split('\n').findIndex((line) => !LINE.test(line));
  if (wrong < 0) return text;
  throw new CommandFailure(`${file} is no environment file: line ${wrong + 1} is not NAME=value`, {
    remedy: 'name one with --write, such as .env; these settings are not in tandem.config.ts',
  });
}

/** Throws where nothing is recommended, or no setting meets the target. */
export async function writeSettings(file: string, { recommended, targetP99Ms }: ProfileReport): Promise<Written> {
  if (!recommended?.meetsTarget) {
    const why = recommended ? `no setting keeps p99 within ${targetP99Ms} ms` : 'nothing was measured';
    throw new CommandFailure(`${file} was not changed: ${why}`, { remedy: 'choose a longer --p99, or more --minutes' });
  }
  const { batch, processes, threads } = recommended;
  const settings = { INFERENCE_BATCH_LIMIT: batch, INFERENCE_PROCESSES: processes, INFERENCE_THREADS: threads };
  let text = await readSettingsFile(file);
  const changes: { name: string; before: string | null; value: string }[] = [];
  for (const [name, number] of Object.entries(settings)) {
    const value = String(number);
    const assignment = new RegExp(`^(\\s*(?:export\\s+)?${name}\\s*=)(.*?)(\\r?)$`, 'gm');
    const before = [...text.matchAll(assignment)].at(-1)?.[2]?.trim() ?? null;
    if (before === value) continue;
    changes.push({ name, before, value });
    if (before !== null) text = text.replace(assignment, `$1${value}$3`);
    else text += `${text === '' || text.endsWith('\n') ? '' : '\n'}${name}=${value}\n`;
  }
  if (changes.length > 0) {
    await writeFile(file, text).catch((error: NodeJS.ErrnoException) => {
      throw new CommandFailure(`${file} cannot be written (${error.code})`, {
        remedy: 'name another file with --write',
      });
    });
  }
  return { file, changes };
}

export function renderWritten({ file, changes }: Written): string[] {
  if (changes.length === 0) return [`Settings: ${file} has them already`];
  const lines = changes.map(
    ({ name, before, value }) => `  ${name}=${value}${before === null ? '' : ` (was ${before})`}`,
  );
  return [`Settings: ${file}; an API takes them at its next start`, ...lines];
}
