/** `tandem profile`: measures settings of live inference on real users, and recommends one for a latency target. */
import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type Cli, createReportCommand, type OptionsOf, parseWhole } from '@tandem/commands/command';
import { parseDuration } from '@tandem/wire/durations';

const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const MOST_THREADS = 4;
const CORES = availableParallelism();

function createProfileCommand() {
  return createReportCommand({
    name: 'profile',
    description: 'measure batch sizes, processes, threads, versions and builds on real users, and recommend the best',
    detail: `Reads users with the feature query of the predictor (DATABASE_URL), and runs its model versions in processes of this command
under full load. It does not use serving processes, but shares the machine with them, so profile an idle machine of the same
kind. A search measures a part of all combinations. --exhaustive measures all, and reports the choice of the search too.
Recommends the highest throughput within --p99, or within freshness.liveTimeout without it. docs/sizing.md says what the figures leave out.
--write changes only three lines of an environment file: INFERENCE_BATCH_LIMIT, INFERENCE_PROCESSES and INFERENCE_THREADS.`,
    example: 'tandem profile repurchase --p99 20ms --price-per-cpu-hour 0.04 --svg profile.svg --write .env',
  })
    .argument('<predictor>')
    .option(
      '--versions <numbers>',
      'model versions (default: serving versions and their builds)',
      parseNumbers(MOST_VERSION),
    )
    .addOption(listOption('--batches <sizes>', 'the most users in one inference', BATCHES, MOST_BATCH))
    .addOption(
      listOption('--processes <counts>', 'inference processes of an API process', doublesUpTo(CORES), MOST_COUNT),
    )
    .addOption(
      listOption('--threads <counts>', 'threads per inference', doublesUpTo(Math.min(CORES, MOST_THREADS)), MOST_COUNT),
    )
    .option('--p99 <duration>', 'the target p99 of inference (default: liveTimeout)', parseLatency)
    .option(
      '--price-per-cpu-hour <price>',
      'the price of one core in any currency; adds the cost of a million predictions',
      parsePrice,
    )
    .option('--minutes <count>', 'time limit, in minutes, of the measurement', parseWhole(1, 1_440), 10)
    .option('--seconds <count>', 'the seconds of load for each setting', parseWhole(1, 60), 1)
    .option('--rows <count>', 'the number of users for the measurement', parseWhole(1, 100_000), 1_000)
    .option('--exhaustive', 'measure every combination')
    .option('--svg <file>', 'write a picture of throughput against latency')
    .option('--write <file>', 'write the recommended settings to this environment file');
}

export type ProfileOptions = OptionsOf<typeof createProfileCommand>;

export function profileCommand(cli: Cli) {
  return createProfileCommand().action(async (predictor, options) => {
    const { runProfile } = await import('./run-profile.ts');
    await runProfile(cli, predictor, options);
  });
}

function listOption<Flags extends string>(flags: Flags, description: string, values: readonly number[], most: number) {
  return new Option(flags, description).argParser(parseNumbers(most)).default(values, values.join(','));
}

/** Returns 1, 2, 4 and so on, and `most` itself. */
function doublesUpTo(most: number): readonly number[] {
  const doubles = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, power) => 2 ** power);
  return [...new Set([...doubles, most])];
}

const MOST_VALUES = 32;
const MOST_VERSION = 99_999;
// The limits of INFERENCE_BATCH_LIMIT, and of INFERENCE_PROCESSES and INFERENCE_THREADS.
const MOST_BATCH = 10_000;
const MOST_COUNT = 256;

/** Returns a parser that returns each number once, in ascending order. */
function parseNumbers(most: number): (text: string) => readonly number[] {
  return (text) => {
    const values = text.split(',').map((part) => Number(/^ *(\d{1,5}) *$/.exec(part)?.[1] ?? Number.NaN));
    if (values.length <= MOST_VALUES && values.every((value) => value >= 1 && value <= most)) {
      return [...new Set(values)].sort((a, b) => a - b);
    }
    throw new InvalidArgumentError(
      `up to ${MOST_VALUES} whole numbers from 1 to ${most} are expected, separated by commas, such as 1,8,64.`,
    );
  };
}

function parseLatency(text: string): number {
  const ms = parseDuration(text.trim());
  if (ms !== null && ms <= 60_000) return ms;
  throw new InvalidArgumentError('a duration from 1ms to 60s is expected, such as 20ms.');
}

function parsePrice(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('a number above 0 is expected, such as 0.04.');
}
