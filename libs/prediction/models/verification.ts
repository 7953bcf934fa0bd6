/** The results of a model version's trial: metadata of its file, and proof that its answers agree. */

export type AnswerValue = number | bigint | string | boolean;

export interface AnswerDifference {
  /** The prediction's field, with its place where it is a vector: `topics[3]`. */
  readonly output: string;
  readonly userId: string;
  readonly alone: AnswerValue;
  /** The answer when repeated, or in a batch. */
  readonly other: AnswerValue;
  /** Absolute; infinite between values that are no floats and not equal. */
  readonly difference: number;
  /** `difference` divided by the allowed difference: above 1 the answers differ. */
  readonly ofAllowed: number;
}

/** The result of a trial for a model whose rows do not depend on one another. */
export interface ParityCertificate {
  /** Users whose answers were compared, real ones and made-up ones. */
  readonly users: { readonly real: number; readonly madeUp: number };
  /** Users without a usable answer of the model, which answers others: they would fail alone. */
  readonly refused: { readonly real: number; readonly madeUp: number; readonly why: string | null };
  /** Users whose features were read as a run reads them too, and who got the same answer from those. */
  readonly readBothWays: number;
  /** In rising order; [1] where each user is inferred alone. */
  readonly batchSizes: readonly number[];
  /** Answers compared with the first one given to the same user alone. */
  readonly comparisons: number;
  /** Relative; 0 if each user is inferred alone: then answers must be equal to the last bit. */
  readonly tolerance: number;
  /** The difference nearest to its limit; null: all answers were equal to the last bit. */
  readonly largestDifference: AnswerDifference | null;
}

/** A stored certificate. It is kept as long as the version, and so names no users. */
export interface KeptCertificate extends Omit<ParityCertificate, 'refused' | 'largestDifference'> {
  readonly refused: { readonly real: number; readonly madeUp: number };
  readonly largestDifference: Omit<AnswerDifference, 'userId'> | null;
}

/** No ids or values of users are kept, so an erasure need not look here. */
export function withoutUsers({ refused, largestDifference, ...parity }: ParityCertificate): KeptCertificate {
  const { real, madeUp } = refused;
  if (largestDifference === null) return { ...parity, refused: { real, madeUp }, largestDifference };
  const { userId: _userId, ...difference } = largestDifference;
  return { ...parity, refused: { real, madeUp }, largestDifference: difference };
}

/** Metadata of a model file. */
export interface ModelMetadata {
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
  /** Domain → version; `ai.onnx` for the standard operators. */
  readonly opset: Readonly<Record<string, number>>;
  readonly irVersion: number;
  /** `skl2onnx 1.17.0`; empty: unknown. */
  readonly producer: string;
  /** Size of the file. */
  readonly bytes: number;
}

/** The results of a passed trial. */
export interface Verification {
  readonly metadata: ModelMetadata;
  readonly parity: ParityCertificate;
}

// How a model's inputs and outputs are written in messages, wherever one of them does not fit.

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
