/**
 * Checks that a model's inputs and outputs match a predictor's definition. Every message names both sides, and the
 * setting of the config to change.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { OutputTensors } from '@tandem/freshness/outputs';
import type { FeatureColumn, ModelDefinition, ModelInput, OutputField } from '@tandem/freshness/predictor';
import { inputMisfits, type Misfit } from '@tandem/prediction/models/input-fit';
import { outputMisfits, widthMisfit } from '@tandem/prediction/models/output-fit';
import { describeTensor } from '@tandem/prediction/models/verification';
import type { Signature, SignatureTensor } from '../process/protocol.ts';

/**
 * Checks the signature. Throws `model_refused` for the first mismatch. Sizes that the shapes leave open are checked by
 * a trial run.
 */
export function checkSignature(definition: ModelDefinition, signature: Signature): void {
  for (const input of signature.inputs) checkFilled(definition, input);
  for (const input of definition.inputs) checkInput(definition, input, signature);
  for (const field of definition.outputs) checkOutput(definition, field, signature);
}

/**
 * Returns the error of a model that cannot be used.
 * @param field the setting of the config that the remedy applies to
 */
export function refuse(field: string, text: string, remedy: string, cause?: unknown): TandemError {
  return new TandemError('model_refused', text, { field, remedy, ...(cause === undefined ? {} : { cause }) });
}

function checkFilled({ predictor, inputs }: ModelDefinition, taken: SignatureTensor): void {
  if (inputs.some((input) => input.name === taken.name)) return;
  throw refuse(
    `predictors.${predictor}.inputs`,
    `the config does not fill the model's input ${describeTensor(taken)} (it fills ${namesOf(inputs)})`,
    `Give the feature query a column for ${taken.name}, or export the model without that input.`,
  );
}

function checkInput(definition: ModelDefinition, input: ModelInput, signature: Signature): void {
  const path = `predictors.${definition.predictor}.inputs.${input.name}`;
  const taken = signature.inputs.find(({ name }) => name === input.name);
  if (!taken) {
    const text = `the config fills an input ${input.name}, but the model takes ${namesOf(signature.inputs)}`;
    throw refuse(path, text, "Use the model's own names for its inputs.");
  }
  if (taken.type !== null && taken.type !== input.type) {
    const text = `the model takes ${describeTensor(taken)}, but the config fills ${input.name} as ${input.type}`;
    throw refuse(path, text, `Write type: '${taken.type}' for this input.`);
  }
  if ((taken.shape.length === 1) !== (input.rank === 1)) {
    const text = `the model takes ${describeTensor(taken)}, but the definition fills ${input.name} as [users${input.rank === 1 ? '' : ', values'}]`;
    throw refuse(path, text, 'Adopt the config again, with this model.');
  }
  const [misfit] = inputMisfits(taken, columnsOf(definition, input), definition.rowByRow ?? false, definition.request);
  if (misfit) throw refuseMisfit(definition, `features`, misfit);
}

function columnsOf({ predictor, query, request = [] }: ModelDefinition, input: ModelInput): readonly FeatureColumn[] {
  return input.columns.map((name) => {
    const column = [...query.columns, ...request].find((each) => each.name === name);
    if (column) return column;
    const text = `input ${input.name} is filled from a column ${name}, which the feature query does not have`;
    throw refuse(
      `predictors.${predictor}.features`,
      text,
      `Fill it from one of ${namesOf(query.columns)}, or add the column to the query.`,
    );
  });
}

function checkOutput(definition: ModelDefinition, field: OutputField, signature: Signature): void {
  const setting = `outputs.${field.name}`;
  const given = signature.outputs.find(({ name }) => name === field.output);
  if (!given) {
    const text = `the config takes ${field.name} from an output ${field.output}, but the model gives ${namesOf(signature.outputs)}`;
    throw refuse(
      `predictors.${definition.predictor}.${setting}`,
      text,
      "Use one of the model's own output names there.",
    );
  }
  const [misfit] = outputMisfits(field, given);
  if (misfit) throw refuseOutput(definition, field, misfit);
}

/** Returns the error of a model without a value for this field. */
function refuseOutput(definition: ModelDefinition, field: OutputField, misfit: Misfit): TandemError {
  return refuseMisfit(definition, `outputs.${field.name}`, misfit);
}

function refuseMisfit({ predictor }: ModelDefinition, place: string, misfit: Misfit): TandemError {
  const { problem, remedy, setting } = misfit;
  const path = setting ? setting.join('.') : place;
  return refuse(`predictors.${predictor}.${path}`, problem, `${remedy[0]?.toUpperCase()}${remedy.slice(1)}.`);
}

function namesOf(things: readonly { readonly name: string }[]): string {
  return things.length === 0 ? 'nothing' : things.map(({ name }) => name).join(', ');
}

/**
 * Checks that a run gave as many values for each user as the prediction's fields take. The declaration is not reliable:
 * converters write [users, 1] for forests with several targets, and the second value would be lost silently.
 */
export type CheckWidths = (tensors: OutputTensors) => void;

/**
 * Creates the check. It throws `model_refused` with the first field that the tensors do not fit.
 * @param unplaced fields without index and width in the config, which take a single value
 */
export function createWidthCheck(
  definition: ModelDefinition,
  signature: Signature,
  unplaced: ReadonlySet<string>,
): CheckWidths {
  return (tensors) => {
    for (const field of definition.outputs) {
      const declared = signature.outputs.find(({ name }) => name === field.output);
      const given = tensors[field.output]?.width;
      if (!declared || given === undefined) continue;
      const misfit = widthMisfit(field, declared, given, !unplaced.has(field.name));
      if (misfit) throw refuseOutput(definition, field, misfit);
    }
  };
}
