/** Whether what a config calls a probability is one: some exporters name margins and distances so. */
import { type Finding, warning } from '../output/finding.ts';
import type { Sample } from './predict-sample.ts';

/** Floats of a softmax may be a little above 1. */
const TOLERANCE = 1e-5;

export function judgeProbabilities({ predictor, userId, prediction }: Sample): Finding[] {
  return Object.entries(prediction).flatMap(([field, value]) => {
    const odd = [value].flat().find((one) => typeof one === 'number' && (one < -TOLERANCE || one > 1 + TOLERANCE));
    if (!/prob/i.test(field) || odd === undefined) return [];
    const text = `${field} of user ${userId} holds ${odd}, which is no probability: a margin or a distance, perhaps`;
    const remedy = `rename the field for what it is, such as scores; or export probabilities (scikit-learn: SVC(probability=True))`;
    return [warning(`${predictor} outputs`, text, remedy)];
  });
}
