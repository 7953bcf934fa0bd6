/** How a model's inputs and outputs are written in messages, wherever one of them does not fit. */

export interface DescribedTensor {
  readonly name: string;
  /** Null: not a tensor (a sequence or a map). */
  readonly type: string | null;
  /** A number is a fixed dimension; a name (converters of scikit-learn write an empty one), null or a negative number any. */
  readonly shape: readonly (number | string | null)[];
}

/** `features float32 [batch, 12]` */
export function describeTensor({ name, type, shape }: DescribedTensor): string {
  const sizes = shape.map((size) => (isFixed(size) ? size : typeof size === 'string' && size !== '' ? size : '?'));
  return `${name} ${type ?? 'sequence or map'} [${sizes.join(', ')}]`;
}

/** Runtimes also write an open size as a negative number. */
export function isFixed(size: number | string | null | undefined): size is number {
  return typeof size === 'number' && size >= 0;
}
