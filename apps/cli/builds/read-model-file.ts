/** A file that a command names, with what is wrong where it cannot be read. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Cli } from '../cli.ts';
import { CommandFailure } from '../failure.ts';

/** A model file that is not empty. */
export async function readModelFile(cli: Pick<Cli, 'cwd'>, file: string): Promise<Buffer> {
  const bytes = await readNamedFile(cli, file);
  if (bytes.length === 0) throw new CommandFailure(`${file} is empty`, { remedy: 'export the model again' });
  return bytes;
}

export async function readNamedFile({ cwd }: Pick<Cli, 'cwd'>, file: string): Promise<Buffer> {
  const path = resolve(cwd, file);
  return readFile(path).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
    const problem = code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code})`;
    throw new CommandFailure(problem, { remedy: 'mend the path, or make the file readable', cause });
  });
}
