/** Maps the outputs of a model to the fields of a prediction, and names the fields. It is pure. */
import type { TensorType } from '@tandem/freshness/predictor';
import type { SignatureTensor } from '@tandem/inference/process/protocol';
import { outputMisfits, valuesPerUser } from '@tandem/prediction/models/output-fit';

export interface MatchedOutput {
  readonly field: string;
  readonly from: string;
  readonly type: TensorType;
  readonly index?: number;
  readonly width?: number;
  readonly note?: string;
}

type OutputMatch =
  | { readonly ok: true; readonly outputs: readonly MatchedOutput[] }
  | { readonly ok: false; readonly problem: string; readonly remedy: string };

type Tensor = SignatureTensor & { readonly type: TensorType };

export function matchOutputs(tensors: readonly SignatureTensor[]): OutputMatch {
  const map = tensors.find(({ type }) => type === null);
  if (map !== undefined) {
    const [misfit] = outputMisfits({ type: 'float32', index: 0, width: null }, map);
    return { ok: false, problem: misfit?.problem ?? '', remedy: misfit?.remedy ?? '' };
  }
  const known = tensors.flatMap((tensor) =>
    tensor.type === null ? [] : [{ ...tensor, type: tensor.type as TensorType }],
  );
  return { ok: true, outputs: asLabelled(known) ?? named(known) };
}

const isFloat = ({ type }: Tensor) => type.startsWith('float');

/**
 * Maps a label and several values beside it. The values are probabilities of the classes if their name says so;
 * otherwise they are plain values.
 */
function asLabelled(tensors: readonly Tensor[]): readonly MatchedOutput[] | null {
  const [first, second] = tensors;
  if (!first || !second || tensors.length !== 2) return null;
  const [label, values] = isFloat(second) ? [first, second] : [second, first];
  if (isFloat(label) || !isFloat(values) || valuesPerUser(label) !== 1 || valuesPerUser(values) === 1) return null;
  const labelField = { field: 'label', from: label.name, type: label.type };
  return /prob/i.test(values.name) ? [probabilitiesOf(values), labelField] : [labelField, valuesOf(values)];
}

/** Maps probabilities to fields: `probabilities` for more than two classes, otherwise `score`. */
function probabilitiesOf(tensor: Tensor): MatchedOutput {
  const { name: from, type } = tensor;
  const classes = valuesPerUser(tensor);
  if (classes !== null && classes > 2) {
    return { field: 'probabilities', from, type, width: classes, note: `One for each of the ${classes} classes.` };
  }
  const note =
    classes === 2
      ? 'The probability of the second of the two classes (index 1), as predict_proba(X)[:, 1].'
      : 'The probability of the second class (index 1), as predict_proba(X)[:, 1]; the model does not say how many classes there are.';
  return { field: 'score', from, type, index: 1, note };
}

/** Maps values to a field. They may be distances, margins or logits; only the owner of the model knows. */
function valuesOf(tensor: Tensor): MatchedOutput {
  const { name: from, type } = tensor;
  const field = isWord(from) ? from : 'scores';
  const width = valuesPerUser(tensor);
  if (width === null) return { field, from, type, index: 0, note: openNote(tensor) };
  const note = `All ${width} values; the model does not say whether they are distances, margins or probabilities.`;
  return { field, from, type, width, note };
}

function named(tensors: readonly Tensor[]): readonly MatchedOutput[] {
  const taken = new Set<string>();
  return tensors.map((tensor, i) => {
    const width = valuesPerUser(tensor);
    const wanted = isWord(tensor.name) ? tensor.name : i === 0 ? 'score' : `output_${i}`;
    const field = taken.has(wanted) ? `${wanted}_${i}` : wanted;
    taken.add(field);
    const base = { field, from: tensor.name, type: tensor.type };
    if (width === null) return { ...base, index: 0, note: openNote(tensor) };
    return width === 1 ? base : { ...base, width, note: `All ${width} values.` };
  });
}

/**
 * Returns whether a name is meaningful to readers of a prediction, unlike `variable`, `output_0`, `dense_2` or `619`.
 */
function isWord(name: string): boolean {
  return (
    /^[a-z][a-z0-9_]*$/i.test(name) &&
    !/^(variable|output|out|y|identity|dense|sequential|tensor|result|graph)?_*\d*$/i.test(name)
  );
}

/**
 * Returns a note that says why the first value is taken. The trial of `check` shows whether the model returns one value
 * for each user.
 */
function openNote({ shape }: Tensor): string {
  return shape.length === 0
    ? 'The model declares no shape: make sure that it returns one value for each user.'
    : 'The first value; the model does not say how many there are.';
}
