/** Maps values of a model's output tensors to the fields of a prediction, and reports what does not fit. */

import type { OutputField } from '@tandem/freshness/predictor';
import { keyText, quote } from '@tandem/prediction/models/input-fit';
import { outputMisfits, sameType, valuesPerUser } from '@tandem/prediction/models/output-fit';
import { type DescribedTensor, describeTensor } from '@tandem/prediction/models/verification';
import { pathText } from '../predictor/check-form.ts';
import { nearestName, type SettingProblem } from '../predictor/config-problem.ts';
import type { ResolvedOutput, ResolvedPredictor } from '../predictor/resolve-predictor.ts';
import type { ModelSignature } from './model-inputs.ts';

/** Returns the mapping, which is valid only if nothing was added to `problems`. */
export function mapOutputs(
  predictor: ResolvedPredictor,
  signature: ModelSignature,
  problems: SettingProblem[],
): readonly OutputField[] {
  for (const output of predictor.outputs) {
    const path = pathText(['predictors', predictor.name, 'outputs', output.name]);
    const tensor = signature.outputs.find(({ name }) => name === output.from);
    const faults = tensor ? fitFaults(output, tensor) : [unknownTensor(output, signature)];
    problems.push(...faults.map(({ problem, remedy }) => ({ path, problem, remedy })));
  }
  return predictor.outputs.map(({ name, from, type, index, width }) => ({
    name,
    output: from,
    type,
    width,
    index: index ?? 0,
  }));
}

type Fault = Omit<SettingProblem, 'path'>;

function unknownTensor(output: ResolvedOutput, { outputs }: ModelSignature): Fault {
  const problem = `the model has no output ${output.from}; it has ${outputs.map(describeTensor).join('; ') || 'none'}`;
  const meant = meantTensor(output, outputs);
  const [misfit] = meant?.type === null ? outputMisfits({ type: output.type, index: 0, width: null }, meant) : [];
  if (misfit) return { problem, remedy: misfit.remedy };
  return { problem, remedy: meant ? `write ${lineFor(output, meant)}` : 'set from to one of these' };
}

/** Returns the tensor with a similar name, else the only tensor, else the only tensor of the declared type. */
function meantTensor(output: ResolvedOutput, outputs: readonly DescribedTensor[]): DescribedTensor | undefined {
  const near = nearestName(
    output.from,
    outputs.map(({ name }) => name),
  );
  if (near !== undefined) return outputs.find(({ name }) => name === near);
  if (outputs.length === 1) return outputs[0];
  const [only, second] = outputs.filter(({ type }) => sameType(type, output.type));
  return second ? undefined : only;
}

/** Returns the correct setting. For two values, such as the probabilities of a classifier, it proposes the second. */
function lineFor({ name, type, width: wanted }: ResolvedOutput, tensor: DescribedTensor): string {
  const { name: from } = tensor;
  const said = sameType(tensor.type, type) ? type : tensor.type;
  const width = valuesPerUser(tensor);
  const taken = width === 1 || wanted !== null ? '' : width === 2 ? ', index: 1' : ', index: …';
  return `${keyText(name)}: { from: ${quote(from)}, type: '${said}'${wanted === null ? taken : `, width: ${wanted}`} }`;
}

function fitFaults(output: ResolvedOutput, tensor: DescribedTensor): readonly Fault[] {
  const { type, index, width } = output;
  const faults = outputMisfits({ type, index: index ?? 0, width }, tensor);
  const given = valuesPerUser(tensor);
  if (given === 1 || tensor.type === null || index !== null || width !== null) return faults;
  return [...faults, unsaidPlace(tensor, given)];
}

/**
 * Returns the problem of an output with several values, if the config does not say which ones to take. The first would
 * be a guess.
 */
function unsaidPlace(tensor: DescribedTensor, given: number | null): Fault {
  const described = `the model's output ${describeTensor(tensor)}`;
  if (given !== null) {
    return {
      problem: `${described} has ${given} values for each user, but the config does not say which one to take`,
      remedy: `add index (0 to ${given - 1}) for one of them, or width: ${given} for all`,
    };
  }
  return {
    problem:
      tensor.shape.length === 0
        ? `${described} is one value for all users, or does not declare its shape`
        : `${described} does not declare how many values a user has, and the config does not say which one to take`,
    remedy:
      'for one value per user, add index: 0; for several, add index or width; or export the model with a fixed size',
  };
}
