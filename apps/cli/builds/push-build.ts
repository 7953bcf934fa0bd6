/** Pushes a build beside the model version that it was made of, and says what helps where it is refused. */
import { isProblem } from '@tandem/client/client-errors';
import type { ModelDetail } from '@tandem/client/model-wire';
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { type ApiOptions, connect, present } from '../command-line/command.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { parseMetric } from '../command-line/options.ts';
import { renderPushed } from '../models/render-model.ts';
import { createProgressDisplay } from '../output/progress.ts';

export interface PushBuildOptions extends ApiOptions {
  readonly rowByRow?: boolean;
  readonly label?: string;
  readonly note?: string;
  readonly metric?: Readonly<Record<string, number>>;
}

export interface Build {
  readonly predictor: string;
  /** Number of the version that it was made of. */
  readonly parent: number;
  readonly kind: string;
  readonly model: Uint8Array;
}

/** What builds may be said of them, however they come. */
export function withBuildWords(command: Command): Command {
  return command
    .option('--row-by-row', 'infer each user alone: for int8 weights with a dynamic scale')
    .option('--note <text>', 'how it was made, for people')
    .option('--label <label>', 'a name that moves to the version')
    .option('--metric <name=number>', 'what you measured; may be given several times', parseMetric);
}

/** Presents what is kept of it. Query, inputs and outputs are its parent's. */
export async function pushBuild(cli: Cli, build: Build, options: PushBuildOptions): Promise<void> {
  const version = await send(cli, build, options);
  if (version.parent !== String(build.parent)) throw knownOtherwise(version, build);
  present(cli, options, version, () => [
    ...renderPushed(version),
    `  before it: tandem build compare ${version.predictor} ${version.modelVersion}`,
  ]);
}

async function send(cli: Cli, { predictor, parent, kind, model }: Build, options: PushBuildOptions) {
  const { rowByRow, label, note, metric } = options;
  const push = {
    ...{ parent: String(parent), build: kind },
    ...(rowByRow === undefined ? {} : { rowByRow }),
    ...(label === undefined ? {} : { label }),
    ...(note === undefined ? {} : { note }),
    ...(metric === undefined ? {} : { metrics: metric }),
  };
  const progress = createProgressDisplay(cli, 'bytes');
  const begin = cli.now();
  const onProgress = (done: number, total: number) => {
    progress.update({ done, total, elapsedMs: cli.now() - begin });
    if (done === total) progress.end();
  };
  return connect(cli, options)
    .pushVersion(predictor, model, push, { onProgress, signal: cli.signal })
    .catch((error: unknown) => {
      throw inWordsOfCommand(error);
    })
    .finally(() => progress.end());
}

/** What the service calls `rowByRow` is an option here. */
function inWordsOfCommand(error: unknown): unknown {
  if (!isProblem(error, 'model_refused') || !error.remedy?.startsWith('Set rowByRow: true')) return error;
  return new CommandFailure(`the build is refused: ${error.message}`, {
    remedy:
      'add --row-by-row, which infers each user alone; or make a static build, whose scale is no batch’s: --static',
    cause: error,
  });
}

function knownOtherwise({ modelVersion, parent, build }: ModelDetail, { kind, parent: said }: Build): CommandFailure {
  const known = parent === null ? 'as no build' : `as ${build} of model version ${parent}`;
  return new CommandFailure(
    `this file with these features is model version ${modelVersion} already, ${known}, not as ${kind} of ${said}`,
    { remedy: 'compare it as what it is, or make the build anew' },
  );
}
