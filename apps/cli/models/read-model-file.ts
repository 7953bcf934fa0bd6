/** A file that a command names, with what is wrong where it cannot be read. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { MAX_MODEL_BYTES, SMALLER_MODEL, tooLargeForModel } from '@tandem/prediction/models/model-limits';
import type { Cli } from '../command-line/command.ts';
import { CommandFailure } from '../command-line/failure.ts';

/** Reads a model file. Rejects where it is empty, or larger than a model may be: the service would refuse it. */
export async function readModelFile(cli: Pick<Cli, 'cwd'>, file: string): Promise<Buffer> {
  const bytes = await readNamedFile(cli, file);
  if (bytes.length === 0) throw new CommandFailure(`${file} is empty`, { remedy: 'export the model again' });
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new CommandFailure(`${file} ${tooLargeForModel(bytes.length)}`, { remedy: SMALLER_MODEL });
  }
  return bytes;
}

export async function readNamedFile({ cwd }: Pick<Cli, 'cwd'>, file: string): Promise<Buffer> {
  const path = resolve(cwd, file);
  return readFile(path).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
    const problem = code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code})`;
    throw new CommandFailure(problem, { remedy: 'correct the path, or make the file readable', cause });
  });
}
