/**
 * Reads a config for adoption: the file, the descriptions of its queries by the database, and the models with a trial
 * run. Reports all problems at once, with file, setting and remedy. Also names predictors that the adoption stops
 * serving.
 */
import { type Judged, judgePredictor } from '@tandem/admission/judge-predictor';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { Pool, SampleLimits } from '@tandem/admission/sample-users';
import { conflictsBetween } from '@tandem/config/adoption/adoptable';
import { configError } from '@tandem/config/predictor/config-problem';
import { loadConfig } from '@tandem/config/predictor/load-config';
import { query } from '@tandem/offline-store/sql/database';
import { schemaState } from '@tandem/offline-store/sql/migrate';

export type ReadConfig = Awaited<ReturnType<typeof readConfig>>;

/**
 * Reads the config. Rejects with `config_invalid` and all problems, with `unavailable` if the database does not answer,
 * or with `overloaded` if the machine is too busy to try a model.
 * @param features the pool of feature statements
 * @param memoryLimitMb the memory limit of the process that tries a model
 */
export async function readConfig(
  features: Pool,
  path: string,
  memoryLimitMb: number,
  reportProgress: ReportProgress = reportNothing,
  sampling: SampleLimits = {},
) {
  const { file, predictors } = await loadConfig(path);
  const judged: Judged[] = [];
  // The trials run one after the other, because each uses a process and its memory. A person waits for the trials, so
  // they have the priority of the command.
  const options = { memoryLimitMb, trial: { niceSteps: 0 }, reportProgress, sampling };
  for (const resolved of predictors) {
    judged.push(await judgePredictor(features, resolved, options));
  }
  const fit = judged.flatMap((one) => ('predictor' in one ? [one.predictor] : []));
  const problems = [
    ...judged.flatMap((one) => ('problems' in one ? one.problems : [])),
    ...conflictsBetween(fit.map(({ definition }) => definition)),
  ];
  if (problems.length > 0) throw configError(problems.map((problem) => ({ file, ...problem })));
  return { file, predictors: fit };
}

/** Returns the served predictors by name; none if the schema does not exist yet. */
export async function findServed(pool: Pool): Promise<readonly string[]> {
  if ((await schemaState(pool)).state !== 'current') return [];
  const rows = await query<{ name: string }>(pool, {
    text: 'select name from tandem.predictors where active order by name',
  });
  return rows.map(({ name }) => name);
}

/** Returns the predictors that adopting a config would withdraw: a database serves exactly one config. */
export async function findWithdrawn(
  pool: Pool,
  predictors: readonly { readonly name: string }[],
): Promise<readonly string[]> {
  const kept = new Set(predictors.map(({ name }) => name));
  return (await findServed(pool)).filter((name) => !kept.has(name));
}

/** Renders, for example, `c_mlp is served now and not in second.config.ts: adopting the config stops serving it`. */
export function withdrawalText(names: readonly string[], config: string): string {
  const [be, them] = names.length === 1 ? ['is', 'it'] : ['are', 'them'];
  return `${names.join(', ')} ${be} served now, but not in ${config}: adopting the config stops serving ${them}`;
}

export const KEEP_SERVED = 'to serve them together, put all under `predictors` of one config';
