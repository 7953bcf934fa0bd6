/**
 * Decides whether two answers for a user are equal. A prediction is served whatever batch it was computed in: a
 * thousand users in a run, or alone for a read. So a model whose rows depend on other rows has no answer to store.
 */
import type { OutputTensors } from '@tandem/freshness/outputs';
import type { ModelDefinition, OutputField } from '@tandem/freshness/predictor';
import type { AnswerDifference, AnswerValue } from '@tandem/prediction/models/verification';

/**
 * How far floats may lie apart, as a share of the larger of the answer, the output's usual answer (the median), and 1.
 * Kernels sum up in another order for other batch sizes, which float32 shows in its last digits; 1e-5 is what exported
 * models keep against their own libraries. Where all answers lie so close together that this could not tell one user
 * from another, a hundredth of their spread takes the place of 1. Integers, texts and booleans are equal or not.
 */
export const FLOAT_TOLERANCE = 1e-5;
/** The same for models that take or give float16: two units in its last place. */
const HALF_TOLERANCE = 2e-3;
/** Share of the answers' spread below which a difference cannot confuse two users. */
const OF_SPREAD = 0.01;

/** A user's values, output by output as the definition has them. */
export type Answer = readonly AnswerValue[];

/** One user's values out of a run's tensors; `outputFault` has passed. */
export function answerOf(fields: readonly OutputField[], tensors: OutputTensors, row: number): Answer {
  return fields.flatMap(({ output, index, width }) => {
    const tensor = tensors[output];
    const start = row * (tensor?.width ?? 0) + index;
    return Array.from({ length: width ?? 1 }, (_, i) => tensor?.data[start + i] as AnswerValue);
  });
}

/** @param takesHalves whether an input or an output that is used is of float16 in the model */
export function toleranceOf({ rowByRow }: ModelDefinition, takesHalves: boolean): number {
  if (rowByRow) return 0;
  return takesHalves ? HALF_TOLERANCE : FLOAT_TOLERANCE;
}

export interface Comparison {
  /** The difference that is furthest from being allowed; null: none at all. */
  differenceOf(userId: string, alone: Answer, other: Answer): AnswerDifference | null;
}

/** @param alone the answers of all users alone, which define a large difference of each output */
export function createComparison(
  fields: readonly OutputField[],
  alone: readonly Answer[],
  tolerance: number,
): Comparison {
  const places = fields.flatMap(({ name, type, width }) =>
    Array.from({ length: width ?? 1 }, (_, i) => ({
      output: width === null ? name : `${name}[${i}]`,
      isFloat: type.startsWith('float'),
    })),
  );
  const scales = places.map((_, at) => scaleOf(alone, at, tolerance));
  return {
    differenceOf(userId, first, other) {
      let worst: AnswerDifference | null = null;
      places.forEach((place, at) => {
        const [a, b] = [first[at] ?? '', other[at] ?? ''];
        if (Object.is(a, b)) return;
        const isFloat = place.isFloat && typeof a === 'number' && typeof b === 'number';
        const difference = isFloat ? Math.abs(a - b) : Number.POSITIVE_INFINITY;
        const allowed = isFloat ? tolerance * Math.max(Math.abs(a), scales[at] ?? 0) : 0;
        // Zero and minus zero are one number, and no difference.
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
