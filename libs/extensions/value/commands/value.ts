/** `tandem value`: reports the value of fresh context on a history of reads with outcomes. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type Cli, createCommand, type OptionsOf, parseWhole, present } from '@tandem/commands/command';
import { modelMemoryMb, withPool } from '@tandem/commands/environment';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { formatDuration, parseDuration } from '@tandem/wire/durations';
import { conclusionsOf } from './conclusions.ts';
import { drawValue } from './picture.ts';
import { renderValueReport } from './render-value.ts';

const CADENCES = '1h,6h,1d,7d';

function createValueCommand() {
  return createCommand({
    name: 'value',
    description: 'report the value of fresh context: the quality and inferences of batch-only, hybrid and live-only',
    detail: `The history is a file (--history; docs/value.md describes its format), or the kept answers of this service (the setting
\`explanations\`) with an outcome that was sent (--outcome, --within). The model of the config predicts again from the features of
each moment. Prints log-loss, AUC and calibration, or the hit rate of a list, with 95 % intervals by user, and draws a
picture of quality against cost. A file needs no database. --outcome 'click:*' takes the item of a list from the name.`,
    example: 'tandem value repurchase --history shop-history.ndjson',
  })
    .argument('<predictor>')
    .option('--config <path>', 'the config, or its folder', 'tandem.config.ts')
    .option('--history <file>', 'an NDJSON file with a history of reads and outcomes')
    .option('--outcome <name>', 'for kept answers: the outcome that counts as 1; sent with value 0, it counts as 0')
    .option(
      '--within <duration>',
      'for kept answers: how long after the read the outcome counts, such as 28d',
      parseTime,
    )
    .addOption(
      new Option('--absent <meaning>', 'for kept answers: what no outcome in that time means (default: zero)').choices([
        'zero',
        'unknown',
      ]),
    )
    .option('--cadence <durations>', `the times between two runs to compare (default: ${CADENCES})`, parseTimes)
    .option('--output <name>', 'the output to judge (default: the output of the decision, or the first numeric one)')
    .option('--top <count>', 'for lists: an outcome among this many first items is a hit', parseWhole(1), 10)
    .option('--seed <number>', 'the seed of the intervals', parseWhole(1), 1)
    .option('--picture <file>', 'the file for the picture (default: <predictor>-value.svg)');
}

type Options = OptionsOf<typeof createValueCommand>;

export function valueCommand(cli: Cli) {
  return createValueCommand().action(async (predictor, options) => {
    const { reportHistory } = await import('./report-history.ts');
    const source = await readSource(cli, predictor, options);
    const { output, top, seed, cadence: cadencesMs = parseTimes(CADENCES) } = options;
    const report = await reportHistory(source, {
      predictor,
      output,
      top,
      seed,
      cadencesMs,
      config: resolve(cli.cwd, options.config),
      memoryLimitMb: modelMemoryMb(cli),
    });
    const picture = resolve(cli.cwd, options.picture ?? `${predictor}-value.svg`);
    await mkdir(dirname(picture), { recursive: true });
    await writeFile(picture, drawValue(report));
    const result = { ...report, notes: source.notes, conclusions: conclusionsOf(report), picture };
    present(cli, options, result, () => [...renderValueReport(report, source.notes), '', `Picture: ${picture}`]);
  });
}

async function readSource(cli: Cli, predictor: string, { history, outcome, within, absent }: Options) {
  if (history !== undefined) {
    if (outcome !== undefined || within !== undefined || absent !== undefined) {
      throw usageError('a history file contains its outcomes', 'leave out --outcome, --within and --absent');
    }
    const { readHistory } = await import('./read-history.ts');
    const file = await readHistory(resolve(cli.cwd, history));
    if (file.history.predictor === predictor) return { ...file, notes: [] };
    const problem = `${history} is of predictor ${file.history.predictor}, not of ${predictor}`;
    throw new CommandFailure(problem, { remedy: `tandem value ${file.history.predictor} --history ${history}` });
  }
  if (outcome !== undefined && within === undefined) {
    throw usageError('--within is missing, the time after a read in which the outcome counts', 'add --within 28d');
  }
  if (outcome === undefined || within === undefined) {
    const remedy = 'set --history to a file; or, for kept answers, use --outcome order --within 28d';
    throw usageError('no history is given', remedy);
  }
  const { readLoggedHistory } = await import('./read-logged-history.ts');
  return withPool(cli, { applicationName: 'tandem-value', max: 1 }, (pool) =>
    readLoggedHistory(pool, { predictor, outcome, withinMs: within, isAbsentUnknown: absent === 'unknown' }),
  );
}

function parseTime(text: string): number {
  const ms = parseDuration(text.trim());
  if (ms !== null) return ms;
  throw new InvalidArgumentError(`a duration such as ${formatDuration(86_400_000)} or 6h is expected.`);
}

function parseTimes(text: string): number[] {
  return [...new Set(text.split(',').map(parseTime))].sort((a, b) => a - b);
}
