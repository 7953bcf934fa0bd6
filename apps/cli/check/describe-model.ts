/**
 * Describes the trial of a model: its inputs and outputs, whether a user's answer is the same in any batch, and its
 * cost.
 */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { bareName } from '@tandem/commands/names';
import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { count } from '@tandem/commands/output/text';
import { featureNames } from '@tandem/inference/model-file/model-facts';
import { describeTensor } from '@tandem/prediction/models/verification';

/** The most inputs that are listed; only the number of the others is reported. */
const INPUTS_SHOWN = 3;
const MIB = 1 << 20;

/**
 * Returns the findings on the model of a predictor.
 * @param memoryLimitMb the memory limit of the process that tried the model
 */
export function describeModel(predictor: CheckedPredictor, memoryLimitMb: number): Finding[] {
  return [
    ok('model', signatureText(predictor)),
    ...orderFindings(predictor),
    parityFinding(predictor),
    ok('cost', costText(predictor, memoryLimitMb)),
  ];
}

function signatureText({ verification: { signature }, definition }: CheckedPredictor): string {
  const { inputs } = signature;
  const more = inputs.length > INPUTS_SHOWN ? ` and ${inputs.length - INPUTS_SHOWN} more inputs` : '';
  const taken = inputs.slice(0, INPUTS_SHOWN).map(describeTensor).join(', ');
  const given = definition.outputs.map(
    ({ name, type, width }) => `${name} ${type}${width === null ? '' : `[${width}]`}`,
  );
  return `${taken}${more} → ${given.join(', ')}`;
}

/** Compares the columns of a matrix with the feature names in the model file, if it has them. */
function orderFindings({ artifact, definition: { inputs } }: CheckedPredictor): Finding[] {
  const [matrix, ...others] = inputs;
  const names = featureNames(artifact);
  if (!matrix || others.length > 0 || !names) return [];
  const [wanted, given] = [names.map(bareName), matrix.columns.map(bareName)];
  const isReordered = wanted.join() !== given.join() && wanted.toSorted().join() === given.toSorted().join();
  if (!isReordered) return [];
  const text = `the model file has the features in another order than the query: ${names.join(', ')}`;
  const remedy =
    'select the columns in that order; check --golden <file> compares the scores with those of the training';
  return [warning('order', text, remedy)];
}

function parityFinding(predictor: CheckedPredictor): Finding {
  const { users, refused, batchSizes } = predictor.verification.parity;
  const who = `${count(users.real)} real and ${count(users.madeUp)} synthetic users`;
  const largest = batchSizes.at(-1) ?? 1;
  const company =
    largest === 1 ? 'inferred twice, each alone' : `alone, again, and in batches of up to ${count(largest)}`;
  const text = `the same answer for ${who}: ${company}`;
  const untried = users.real + refused.real === 0 ? whyNobodyReal(predictor, text) : null;
  if (untried) return untried;
  if (refused.real === 0) return ok('parity', text);
  return warning(
    'parity',
    `${text}; none for ${count(refused.real)} other real users: ${refused.why ?? ''}`,
    'only these users fail in a run; run the model in Python on their rows to find the cause',
  );
}

/** Returns the finding that the trial had no real user, and why; null if the query returns none. */
function whyNobodyReal({ users }: CheckedPredictor, text: string): Finding | null {
  if (users === undefined) {
    const why = `${text}; no real user can be read before the schema exists`;
    return warning('parity', why, 'run tandem migrate, then check again');
  }
  if (users.slow) {
    const why = `${text}; with no real users, because ${users.slow.what} were not read in time`;
    return failed('parity', why, 'make the query faster (see sample and plan), then check again');
  }
  if (users.read === 0) return null;
  const why = `${text}; with no real users, because none of the users read can be scored`;
  return warning('parity', why, 'fix the reasons why they cannot be scored, then check again');
}

function costText({ verification: { cost, rssBytes }, definition }: CheckedPredictor, memoryLimitMb: number): string {
  const alone = `${significant(cost.aloneMs)} ms for one user`;
  const together = `${significant(cost.perUserUs)} µs a user in a batch of ${count(cost.batchSize)}${definition.rowByRow ? ', row by row' : ''}`;
  return `${alone}, ${together}; its process uses ${Math.round(rssBytes / MIB)} of ${memoryLimitMb} MB`;
}

/** Renders two significant digits: 0.018, 2.7, 140. */
function significant(value: number): string {
  return value >= 100 ? count(Math.round(value)) : `${Number(value.toPrecision(2))}`;
}
