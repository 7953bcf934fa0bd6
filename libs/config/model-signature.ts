/** A model's signature as an inspection of the artifact gives it, and what its shapes say. */
import { isFixed } from '@tandem/prediction/model-signature';
import type { TensorType } from '@tandem/prediction/predictor';

export interface TensorSignature {
  readonly name: string;
  readonly type: TensorType;
  /** A number is fixed; a name or null stands for any. */
  readonly shape: readonly (number | string | null)[];
}

export interface ModelSignature {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

/** Values a user in a tensor of shape [users, …]; null where the model leaves it open. */
export function valuesPerUser({ shape }: TensorSignature): number | null {
  return shape.slice(1).reduce<number | null>((width, size) => {
    return width === null || !isFixed(size) ? null : width * size;
  }, 1);
}
