/** `tandem check`: checks whether a config would work with this database. */
import { resolve } from 'node:path';
import { reportNothing } from '@tandem/admission/report-progress';
import { type Cli, type CommonOptions, createCommand, parseShare } from '@tandem/commands/command';
import { findDatabaseUrls, modelMemoryMb, withDatabases } from '@tandem/commands/environment';
import { usageError } from '@tandem/commands/failure';
import { renderOutputs, renderValue } from '@tandem/commands/output/answer';
import { presentFindings } from '@tandem/commands/output/finding';
import { createProgressReporter } from '@tandem/commands/output/progress';
import { duration, printable, renderFields } from '@tandem/commands/output/text';
import type { GoldenRequest } from './judge-golden.ts';
import type { Sample } from './predict-sample.ts';

interface Options extends CommonOptions {
  readonly config: string;
  readonly golden?: string;
  readonly key?: string;
  readonly predictor?: string;
  readonly tolerance?: number;
}

/** The usual difference between 32-bit floats of two programs. */
const TOLERANCE = 1e-4;

/**
 * The time limit in ms. The search for duplicate keys reads the whole source; a query that takes longer is reported as
 * slow.
 */
const STATEMENT_TIMEOUT_MS = 30_000;

export function checkCommand(cli: Cli) {
  return createCommand({
    name: 'check',
    description: 'check a config with its database and its models, without adopting it',
    detail: `Checks the query (columns, types, one row for each user, nulls, index), the model (signature; trial runs on real and
synthetic users, alone and in batches) and the times. Shows one prediction of each predictor with its inputs and cost.
Tries the model within INFERENCE_MEMORY_MB, the limit with which it will be served. Only reads the database.
--golden compares the model's predictions with those that training exported, in a CSV file with a column of user ids and a
column for each output (score; a field with several values: field_0, field_1, …). It detects columns in the wrong order.
Exit codes: 0 without errors, even if there are warnings; 1 if there are errors; 2 for wrong usage.`,
    example: 'tandem check --config ./tandem.config.ts',
  })
    .option('--config <path>', 'the config, or its folder', 'tandem.config.ts')
    .option('--golden <file>', 'a CSV file with expected predictions of up to 10,000 users')
    .option('--key <column>', 'the column of user ids (default: user_id, or the only column that is not an output)')
    .option('--predictor <name>', 'the predictor of the file, if the config has several')
    .option('--tolerance <share>', `the allowed difference as a share of the value (default: ${TOLERANCE})`, parseShare)
    .action(async (options: Options) => {
      const golden = goldenRequest(cli, options);
      const { checkConfig } = await import('./check-config.ts');
      const choice = { applicationName: 'tandem-check', statementTimeoutMs: STATEMENT_TIMEOUT_MS };
      await withDatabases(findDatabaseUrls(cli), choice, async (databases) => {
        const reportProgress = options.json ? reportNothing : createProgressReporter(cli.stderr);
        const report = await checkConfig(databases, resolve(cli.cwd, options.config), modelMemoryMb(cli), {
          reportProgress,
          golden,
        });
        presentFindings(cli, options, report, report.samples.flatMap(renderSample));
      });
    });
}

function goldenRequest(cli: Cli, options: Options): GoldenRequest | undefined {
  const { golden, key = null, predictor = null, tolerance = TOLERANCE } = options;
  if (golden !== undefined) return { file: resolve(cli.cwd, golden), key, predictor, tolerance };
  const extra = (['key', 'predictor', 'tolerance'] as const).find((name) => options[name] !== undefined);
  if (extra === undefined) return undefined;
  throw usageError(`--${extra} requires --golden`, 'add --golden <file>, or leave it out');
}

function renderSample({ predictor, userId, features, prediction, featuresMs, inferenceMs }: Sample): string[] {
  const times = `features read in ${milliseconds(featuresMs)}, inferred in ${milliseconds(inferenceMs)}`;
  const inputs = features.map(({ name, value }) => [name, renderValue(value)] as const);
  return [
    '',
    `${predictor} for user ${printable(userId)}: ${renderOutputs(prediction)} (${times}), from`,
    ...renderFields(inputs, '  '),
  ];
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : duration(ms);
}
