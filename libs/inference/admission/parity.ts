/**
 * Decides whether two answers for a user are equal. A prediction may be computed in a run with a thousand users, or
 * alone for a read, and must be the same. If the rows of a model depend on other rows, it has no answer to store.
 */
import type { OutputTensors } from '@tandem/freshness/outputs';
import type { ModelDefinition, OutputField } from '@tandem/freshness/predictor';
import type { AnswerDifference, AnswerValue } from '@tandem/prediction/models/verification';

/**
 * The allowed difference of floats, relative to the largest of the answer, the median answer of the output, and 1.
 * Kernels sum in another order for other batch sizes, which changes the last digits of a float32. Exported models
 * differ by up to 1e-5 from their own libraries. If all answers are so close together that this tolerance could not
 * distinguish users, 1 is replaced by a hundredth of their spread. Integers, texts and booleans are compared exactly.
 */
export const FLOAT_TOLERANCE = 1e-5;
/** The tolerance of models with float16 inputs or outputs: two units in the last place. */
const HALF_TOLERANCE = 2e-3;
/** The share of the answers' spread below which a difference cannot confuse two users. */
const OF_SPREAD = 0.01;

/** A user's values, by output in the order of the definition. */
export type Answer = readonly AnswerValue[];

/** Returns one user's values from the tensors of a run, which `outputFault` has accepted. */
export function answerOf(fields: readonly OutputField[], tensors: OutputTensors, row: number): Answer {
  return fields.flatMap(({ output, index, width }) => {
    const tensor = tensors[output];
    const start = row * (tensor?.width ?? 0) + index;
    return Array.from({ length: width ?? 1 }, (_, i) => tensor?.data[start + i] as AnswerValue);
  });
}

/**
 * Returns the tolerance of a model.
 * @param takesHalves whether an input or a used output of the model is float16
 */
export function toleranceOf({ rowByRow }: ModelDefinition, takesHalves: boolean): number {
  if (rowByRow) return 0;
  return takesHalves ? HALF_TOLERANCE : FLOAT_TOLERANCE;
}

export type Comparison = ReturnType<typeof createComparison>;

/**
 * Creates a comparison of answers.
 * @param alone the answers of all users alone, which define the tolerance of each output
 */
export function createComparison(fields: readonly OutputField[], alone: readonly Answer[], tolerance: number) {
  const places = fields.flatMap(({ name, type, width }) =>
    Array.from({ length: width ?? 1 }, (_, i) => ({
      output: width === null ? name : `${name}[${i}]`,
      isFloat: type.startsWith('float'),
    })),
  );
  const scales = places.map((_, at) => scaleOf(alone, at, tolerance));
  return {
    /** Returns the difference that is largest relative to the allowed one; null if there is none. */
    differenceOf(userId: string, first: Answer, other: Answer): AnswerDifference | null {
      let worst: AnswerDifference | null = null;
      places.forEach((place, at) => {
        const [a, b] = [first[at] ?? '', other[at] ?? ''];
        if (Object.is(a, b)) return;
        const isFloat = place.isFloat && typeof a === 'number' && typeof b === 'number';
        const difference = isFloat ? Math.abs(a - b) : Number.POSITIVE_INFINITY;
        const allowed = isFloat ? tolerance * Math.max(Math.abs(a), scales[at] ?? 0) : 0;
        // Zero and minus zero are equal.
        const ofAllowed = difference === 0 ? 0 : difference / allowed;
        if (ofAllowed > 0 && ofAllowed > (worst?.ofAllowed ?? 0)) {
          worst = { output: place.output, userId, alone: a, other: b, difference, ofAllowed };
        }
      });
      return worst;
    },
  };
}

function scaleOf(answers: readonly Answer[], at: number, tolerance: number): number {
  const values = answers.flatMap((answer) => (typeof answer[at] === 'number' ? [answer[at]] : []));
  if (values.length === 0) return 0;
  const sizes = values.map(Math.abs).sort((a, b) => a - b);
  const spread = values.reduce((most, n) => Math.max(most, n)) - values.reduce((least, n) => Math.min(least, n));
  const median = sizes[sizes.length >> 1] ?? 0;
  return Math.max(median, tolerance === 0 ? 0 : Math.min(1, (spread * OF_SPREAD) / tolerance));
}
