/** Reads the model files of commands, and uploads them as model versions. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ModelDetail, PushInput } from '@tandem/client/wire';
import type { ApiOptions, Cli } from '@tandem/commands/command';
import { CommandFailure } from '@tandem/commands/failure';
import { createProgressDisplay } from '@tandem/commands/output/progress';
import { MAX_MODEL_BYTES, SMALLER_MODEL, tooLargeForModel } from '@tandem/prediction/models/model-limits';
import { connect } from '../client/connect.ts';

/** Reads a model file. Rejects if the file is empty or too large, because the service would reject it. */
export async function readModelFile(cli: Pick<Cli, 'cwd'>, file: string): Promise<Buffer> {
  const bytes = await readNamedFile(cli, file);
  if (bytes.length === 0) throw new CommandFailure(`${file} is empty`, { remedy: 'export the model again' });
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new CommandFailure(`${file} ${tooLargeForModel(bytes.length)}`, { remedy: SMALLER_MODEL });
  }
  return bytes;
}

/** Reads a file. Rejects with its path and the reason if it cannot. */
export async function readNamedFile({ cwd }: Pick<Cli, 'cwd'>, file: string): Promise<Buffer> {
  const path = resolve(cwd, file);
  return readFile(path).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
    const problem = code === 'ENOENT' ? `the file ${path} does not exist` : `${path} cannot be read (${code})`;
    throw new CommandFailure(problem, { remedy: 'correct the path, or make the file readable', cause });
  });
}

/** Uploads a model file as a version of a predictor, and shows the progress. */
export async function uploadVersion(
  cli: Cli,
  options: ApiOptions,
  predictor: string,
  { model, push }: { readonly model: Uint8Array; readonly push: PushInput },
  onUploaded: () => void = () => undefined,
): Promise<ModelDetail> {
  const progress = createProgressDisplay(cli, 'bytes');
  const begin = cli.now();
  const onProgress = (done: number, total: number) => {
    progress.update({ done, total, elapsedMs: cli.now() - begin });
    if (done < total) return;
    progress.end();
    onUploaded();
  };
  return connect(cli, options)
    .pushVersion(predictor, model, push, { onProgress, signal: cli.signal })
    .finally(() => progress.end());
}
