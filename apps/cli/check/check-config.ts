/** Everything that can be known of a config before it is in force: each predictor's query, keys, plans, model, times. */
import { formatProblem, problemsOf } from '@tandem/config/config-problem';
import { type Pool, type ReadConfig, readConfig } from '../adoption/read-config.ts';
import { examineSchema } from '../doctor/examine-schema.ts';
import { type Finding, failed, ok } from '../output/finding.ts';
import { checkPredictor } from './check-predictor.ts';
import { predictSample, type Sample } from './predict-sample.ts';

export interface CheckReport {
  readonly file: string | null;
  readonly findings: readonly Finding[];
  /** One prediction of each predictor, computed now. */
  readonly samples: readonly Sample[];
}

export async function checkConfig(pool: Pool, path: string): Promise<CheckReport> {
  const schema = await examineSchema(pool);
  const read = await tryReadConfig(pool, path);
  if (Array.isArray(read)) return { file: null, findings: [schema, ...read], samples: [] };
  const config: ReadConfig = read;
  const findings = [schema, ok('config', `${config.file}: ${config.predictors.length} predictor(s)`)];
  const samples: Sample[] = [];
  // Reads of features carry a certificate, whose tables the schema has.
  const isMigrated = schema.level === 'ok';
  for (const predictor of config.predictors) {
    findings.push(...(await checkPredictor(pool, predictor, isMigrated)));
    if (!isMigrated) continue;
    const sample = await predictSample(pool, predictor);
    if ('finding' in sample) findings.push(sample.finding);
    else samples.push(sample);
  }
  return { file: config.file, findings, samples };
}

async function tryReadConfig(pool: Pool, path: string): Promise<ReadConfig | Finding[]> {
  try {
    return await readConfig(pool, path);
  } catch (error) {
    const problems = problemsOf(error);
    if (problems.length === 0) throw error;
    return problems.map((problem) => {
      // Its own two lines: where and what, then the remedy.
      const [text = '', ...remedy] = formatProblem(problem).split('\n');
      return failed('config', text.trim(), remedy.join('\n').trim().replace(/^→ /, ''));
    });
  }
}
