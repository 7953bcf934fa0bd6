/** A model's signature as an inspection of the artifact gives it, and what its shapes say. */
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

/** `features float32 [batch, 12]` */
export function describeTensor({ name, type, shape }: TensorSignature): string {
  return `${name} ${type} [${shape.map((size) => (isFixed(size) || typeof size === 'string' ? size : '?')).join(', ')}]`;
}

/** Runtimes also write an open size as a negative number. */
export function isFixed(size: number | string | null | undefined): size is number {
  return typeof size === 'number' && size >= 0;
}
