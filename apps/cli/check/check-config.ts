/** Checks a config before its adoption: the query, keys, plans, model and times of each predictor. */
import { basename } from 'node:path';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { Pool, SampleLimits } from '@tandem/admission/sample-users';
import type { Databases } from '@tandem/commands/environment';
import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { problemsOf } from '@tandem/config/predictor/config-problem';
import { examineColumns } from '../doctor/examine-columns.ts';
import { examineSchema } from '../doctor/examine-schema.ts';
import { attempt } from '../doctor/examine-stores.ts';
import { judgePredictors } from './check-predictor.ts';
import { checkGolden, type GoldenRequest } from './judge-golden.ts';
import { findWithdrawn, KEEP_SERVED, type ReadConfig, readConfig, withdrawalText } from './read-config.ts';

interface CheckOptions {
  readonly reportProgress?: ReportProgress;
  /** Time limits of the queries that read users for the trials of models. */
  readonly sampling?: SampleLimits;
  readonly golden?: GoldenRequest | undefined;
}

/**
 * Checks a config with the database that would serve it.
 * @param memoryLimitMb the memory limit of the processes that try a model
 */
export async function checkConfig(
  databases: Databases,
  path: string,
  memoryLimitMb: number,
  { reportProgress = reportNothing, sampling = {}, golden: request }: CheckOptions = {},
) {
  const { pool, features } = databases;
  const schema = await examineSchema(pool);
  const isMigrated = schema.level === 'ok';
  // Adopting the config fixes changed columns, so they are no errors here.
  const examineChanged = async () => (await examineColumns(databases)).map((one) => ({ ...one, level: WARNING }));
  const changed = isMigrated ? await attempt('columns', examineChanged) : [];
  const config = await readConfig(features, path, memoryLimitMb, reportProgress, sampling).catch(problemFindings);
  if (Array.isArray(config)) {
    return { file: null, findings: [schema, ...config, ...changed], trials: [], samples: [], golden: null };
  }
  const { file, predictors } = config;
  const judged = await judgePredictors(databases, predictors, { isMigrated, memoryLimitMb, reportProgress });
  const limits = { memoryLimitMb, reportProgress };
  const golden = request && isMigrated ? await checkGolden(features, predictors, request, limits) : undefined;
  return {
    file,
    findings: [
      schema,
      ok('config', `${file}: ${predictors.map(({ name }) => name).join(', ')}`),
      ...(await checkServed(pool, config)),
      ...changed,
      ...judged.findings,
      ...(golden?.findings ?? []),
    ],
    /** The results of the trial of each model. */
    trials: predictors.map(({ name, verification }) => {
      const { parity, cost, rssBytes } = verification;
      return { predictor: name, parity, cost, rssBytes };
    }),
    /** One prediction of each predictor, computed now. */
    samples: judged.samples,
    /** The comparison with the predictions of `--golden`; null without the option, or if there was nothing to compare. */
    golden: golden?.comparison ?? null,
  };
}

const WARNING = 'warning' as const;

/** Reports predictors that the adoption would withdraw, because a database serves exactly one config. */
async function checkServed(pool: Pool, { file, predictors }: ReadConfig): Promise<Finding[]> {
  const withdrawn = await findWithdrawn(pool, predictors);
  return withdrawn.length === 0 ? [] : [warning('config', withdrawalText(withdrawn, basename(file)), KEEP_SERVED)];
}

/** Returns a finding for each problem of a config. Throws other errors. */
function problemFindings(error: unknown): Finding[] {
  const problems = problemsOf(error);
  if (problems.length === 0) throw error;
  return problems.map(({ file, path, problem, remedy }) =>
    failed('config', [file, path, problem].filter((part) => part !== '').join(': '), remedy),
  );
}
