/**
 * Judges the predictors of a config against the database that they would be served from: `check` shows the findings, and
 * `adopt` refuses a config for those that are errors.
 */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { type TellStep, tellNothing } from '@tandem/admission/tell-step';
import type { Databases } from '../command-line/databases.ts';
import type { Finding } from '../output/finding.ts';
import { checkPredictor } from './check-predictor.ts';
import { judgeProbabilities } from './judge-probabilities.ts';
import { judgeReadTime } from './judge-read-time.ts';
import { predictSample, type Sample } from './predict-sample.ts';

export interface Judgement {
  readonly findings: readonly Finding[];
  /** One prediction of each predictor, computed now. */
  readonly samples: readonly Sample[];
}

export interface JudgementOptions {
  /** Whether the schema is there: reads of features carry a certificate, whose tables it has. */
  readonly isMigrated: boolean;
  /** Of the processes that try a model. */
  readonly memoryLimitMb: number;
  readonly tell?: TellStep;
}

export async function judgePredictors(
  databases: Databases,
  predictors: readonly CheckedPredictor[],
  { isMigrated, memoryLimitMb, tell = tellNothing }: JudgementOptions,
): Promise<Judgement> {
  const findings: Finding[] = [];
  const samples: Sample[] = [];
  for (const predictor of predictors) {
    findings.push(...(await checkPredictor(databases, predictor, isMigrated, memoryLimitMb, tell)));
    if (!isMigrated) continue;
    const sample = await tell(`predicting one user of ${predictor.name}`, () =>
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
