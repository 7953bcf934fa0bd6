/** Decides which values of a model's output tensors become the fields of a prediction, and refuses what does not fit. */
import { describeTensor } from '@tandem/prediction/model-signature';
import type { OutputField } from '@tandem/prediction/predictor';
import { pathText } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { type ModelSignature, type TensorSignature, valuesPerUser } from './model-signature.ts';
import { nearestName } from './nearest-name.ts';
import type { ResolvedOutput, ResolvedPredictor } from './resolve-predictor.ts';

/** The mapping; it holds only if nothing was added to `problems`. */
export function mapOutputs(
  predictor: ResolvedPredictor,
  signature: ModelSignature,
  problems: SettingProblem[],
): readonly OutputField[] {
  for (const output of predictor.outputs) {
    const path = pathText(['predictors', predictor.name, 'outputs', output.name]);
    const tensor = signature.outputs.find(({ name }) => name === output.from);
    const faults = tensor ? fitFaults(output, tensor) : [unknownTensor(output, signature)];
    problems.push(...faults.map((fault) => ({ path, ...fault })));
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
  const names = outputs.map(({ name }) => name);
  const meant = nearestName(output.from, names) ?? (names.length === 1 ? names[0] : undefined);
  const problem = `the model has no output ${output.from}; it has ${outputs.map(describeTensor).join('; ') || 'none'}`;
  return { problem, remedy: meant ? `write { from: '${meant}', type: … }` : 'name one of these with from' };
}

function fitFaults(output: ResolvedOutput, tensor: TensorSignature): Fault[] {
  const faults: Fault[] = [];
  if (tensor.type !== output.type) {
    const problem = `is declared ${output.type}, and the model gives ${describeTensor(tensor)}`;
    faults.push({ problem, remedy: `write '${tensor.type}'` });
  }
  if (tensor.shape.length === 0) {
    const remedy = 'export the model with an output of the form [users, …]';
    return [...faults, { problem: `the model's output ${describeTensor(tensor)} is one value for all users`, remedy }];
  }
  const width = valuesPerUser(tensor);
  if (width === null) return faults;
  const last = (output.index ?? 0) + (output.width ?? 1);
  if (width > 1 && output.index === null && output.width === null) {
    const problem = `the model's output ${describeTensor(tensor)} has ${width} values a user, and the config does not say which`;
    faults.push({ problem, remedy: `add index (0 to ${width - 1}) for one of them, or width: ${width} for all` });
  } else if (last > width) {
    const problem = `takes value ${last - 1}, and the model's output ${describeTensor(tensor)} has ${width} a user, counted from 0`;
    faults.push({ problem, remedy: `take values up to ${width - 1} with index and width` });
  }
  return faults;
}
