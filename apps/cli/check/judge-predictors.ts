/**
 * Judges the predictors of a config with the database that would serve them. `check` shows the findings, and `adopt`
 * rejects a config with errors.
 */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { Databases } from '../command-line/environment.ts';
import { type Finding, warning } from '../output/finding.ts';
import { checkPredictor } from './check-predictor.ts';
import { judgeReadTime, predictSample, type Sample } from './predict-sample.ts';

interface Judgement {
  readonly findings: readonly Finding[];
  /** One prediction of each predictor, computed during the check. */
  readonly samples: readonly Sample[];
}

interface JudgementOptions {
  /** Whether the schema exists. Reads of features include a certificate from its tables. */
  readonly isMigrated: boolean;
  /** Memory limit of the processes that try a model. */
  readonly memoryLimitMb: number;
  readonly reportProgress?: ReportProgress;
}

export async function judgePredictors(
  databases: Databases,
  predictors: readonly CheckedPredictor[],
  { isMigrated, memoryLimitMb, reportProgress = reportNothing }: JudgementOptions,
): Promise<Judgement> {
  const findings: Finding[] = [];
  const samples: Sample[] = [];
  for (const predictor of predictors) {
    findings.push(...(await checkPredictor(databases, predictor, isMigrated, memoryLimitMb, reportProgress)));
    if (!isMigrated) continue;
    const sample = await reportProgress(`predicting one user of ${predictor.name}`, () =>
      predictSample(databases.features, predictor, memoryLimitMb),
    );
    if ('finding' in sample) findings.push(sample.finding);
    else {
      samples.push(sample);
      findings.push(...judgeReadTime(predictor, sample), ...judgeProbabilities(sample));
    }
  }
  return { findings, samples };
}

/** How far a probability may lie outside 0 to 1, because floats of a softmax may be slightly above 1. */
const TOLERANCE = 1e-5;

/**
 * Warns of a field that is named a probability but has another value. Some exporters give margins and distances such
 * names.
 */
export function judgeProbabilities({ predictor, userId, prediction }: Sample): Finding[] {
  return Object.entries(prediction).flatMap(([field, value]) => {
    const odd = [value].flat().find((one) => typeof one === 'number' && (one < -TOLERANCE || one > 1 + TOLERANCE));
    if (!/prob/i.test(field) || odd === undefined) return [];
    const text = `${field} of user ${userId} has the value ${odd}, which is not a probability; it may be a margin or a distance`;
    const remedy = `rename the field, for example to scores, or export probabilities (scikit-learn: SVC(probability=True))`;
    return [warning(`${predictor} outputs`, text, remedy)];
  });
}
