/** Checks a config before its adoption: the query, keys, plans, model and times of each predictor. */
import { basename } from 'node:path';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { Pool, SampleLimits } from '@tandem/admission/sample-users';
import { formatProblem, problemsOf } from '@tandem/config/predictor/config-problem';
import type { CheckedModel } from '@tandem/inference/admission/check-model';
import type { Databases } from '../command-line/environment.ts';
import { examineColumns } from '../doctor/examine-columns.ts';
import { examineSchema } from '../doctor/examine-schema.ts';
import { type Finding, failed, ok, warning } from '../output/finding.ts';
import { judgePredictors } from './check-predictor.ts';
import type { GoldenComparison } from './compare-golden.ts';
import { checkGolden, type GoldenRequest } from './judge-golden.ts';
import type { Sample } from './predict-sample.ts';
import { findWithdrawn, KEEP_SERVED, type ReadConfig, readConfig, withdrawalText } from './read-config.ts';

export interface CheckReport {
  readonly file: string | null;
  readonly findings: readonly Finding[];
  /** The results of the trial of each model. */
  readonly trials: readonly Trial[];
  /** One prediction of each predictor, computed now. */
  readonly samples: readonly Sample[];
  /** The comparison with the predictions of `--golden`; null without the option, or if there was nothing to compare. */
  readonly golden: GoldenComparison | null;
}

interface CheckOptions {
  readonly reportProgress?: ReportProgress;
  /** Time limits of the queries that read users for the trials of models. */
  readonly sampling?: SampleLimits;
  readonly golden?: GoldenRequest | undefined;
}

interface Trial extends Pick<CheckedModel, 'parity' | 'cost' | 'rssBytes'> {
  readonly predictor: string;
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
): Promise<CheckReport> {
  const { pool, features } = databases;
  const schema = await examineSchema(pool);
  const isMigrated = schema.level === 'ok';
  // Adopting the config fixes them, so they are no errors here.
  const changed = (isMigrated ? await examineColumns(databases) : []).map((one) => ({
    ...one,
    level: 'warning' as const,
  }));
  const read = await tryReadConfig(features, path, memoryLimitMb, reportProgress, sampling);
  if (Array.isArray(read))
    return { file: null, findings: [schema, ...read, ...changed], trials: [], samples: [], golden: null };
  const config: ReadConfig = read;
  const judged = await judgePredictors(databases, config.predictors, { isMigrated, memoryLimitMb, reportProgress });
  const golden =
    request && isMigrated
      ? await checkGolden(features, config.predictors, request, { memoryLimitMb, reportProgress })
      : undefined;
  const findings = [
    schema,
    ok('config', `${config.file}: ${config.predictors.map(({ name }) => name).join(', ')}`),
    ...(await checkServed(pool, config)),
    ...changed,
    ...judged.findings,
    ...(golden?.findings ?? []),
  ];
  const trials = config.predictors.map(({ name, verification: { parity, cost, rssBytes } }) => ({
    predictor: name,
    parity,
    cost,
    rssBytes,
  }));
  return { file: config.file, findings, trials, samples: judged.samples, golden: golden?.comparison ?? null };
}

/** Reports predictors that the adoption would withdraw, because a database serves exactly one config. */
async function checkServed(pool: Pool, { file, predictors }: ReadConfig): Promise<Finding[]> {
  const withdrawn = await findWithdrawn(pool, predictors);
  return withdrawn.length === 0 ? [] : [warning('config', withdrawalText(withdrawn, basename(file)), KEEP_SERVED)];
}

async function tryReadConfig(
  features: Pool,
  path: string,
  memoryLimitMb: number,
  reportProgress: ReportProgress,
  sampling: SampleLimits,
): Promise<ReadConfig | Finding[]> {
  try {
    return await readConfig(features, path, memoryLimitMb, reportProgress, sampling);
  } catch (error) {
    const problems = problemsOf(error);
    if (problems.length === 0) throw error;
    return problems.map((problem) => {
      // The text of a problem has two lines: its place and problem, then the remedy.
      const [text = '', ...remedy] = formatProblem(problem).split('\n');
      return failed('config', text.trim(), remedy.join('\n').trim().replace(/^→ /, ''));
    });
  }
}
