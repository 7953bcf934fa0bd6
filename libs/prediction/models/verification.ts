/** The results of a model version's trial: metadata of its file, and proof that its answers agree. */

export type AnswerValue = number | bigint | string | boolean;

export interface AnswerDifference {
  /** The prediction's field, for a vector with the index: `topics[3]`. */
  readonly output: string;
  readonly userId: string;
  readonly alone: AnswerValue;
  /** The value when the user was inferred again, or in a batch. */
  readonly other: AnswerValue;
  /** The absolute difference; infinite for unequal values that are not floats. */
  readonly difference: number;
  /** `difference` divided by the allowed difference; above 1 the answers count as different. */
  readonly ofAllowed: number;
}

/** The result of a trial that found that the rows of a batch do not depend on each other. */
export interface ParityCertificate {
  /** The number of users whose answers were compared, real and generated. */
  readonly users: { readonly real: number; readonly madeUp: number };
  /** The number of users without a usable answer of the model. In service each of them would fail alone. */
  readonly refused: { readonly real: number; readonly madeUp: number; readonly why: string | null };
  /** The number of users whose features were also read as a run reads them, with the same answer. */
  readonly readBothWays: number;
  /** The tried batch sizes in rising order; [1] if each user is inferred alone. */
  readonly batchSizes: readonly number[];
  /** The number of answers that were compared with the answer of the user's first inference, which ran alone. */
  readonly comparisons: number;
  /**
   * The allowed relative difference; 0 if each user is inferred alone, since answers must then be equal to the last
   * bit.
   */
  readonly tolerance: number;
  /** The difference nearest to its limit; null if all answers were equal to the last bit. */
  readonly largestDifference: AnswerDifference | null;
}

/** A stored certificate of admission. It is kept as long as the version, so it names no users. */
export interface KeptCertificate extends Omit<ParityCertificate, 'refused' | 'largestDifference'> {
  readonly refused: { readonly real: number; readonly madeUp: number };
  readonly largestDifference: Omit<AnswerDifference, 'userId'> | null;
}

/** Returns the certificate without ids and values of users, so that erasures need not change it. */
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
  /** The producer: `skl2onnx 1.17.0`; empty if unknown. */
  readonly producer: string;
  /** Size of the file. */
  readonly bytes: number;
}

/** The results of a passed trial. */
export interface Verification {
  readonly metadata: ModelMetadata;
  readonly parity: ParityCertificate;
}

// Messages write a model's inputs and outputs in one form.

export interface DescribedTensor {
  readonly name: string;
  /** The element type; null if it is not a tensor but a sequence or a map. */
  readonly type: string | null;
  /**
   * The dimensions. A number is a fixed size. A name, null or a negative number is a dynamic size; converters of
   * scikit-learn write an empty name.
   */
  readonly shape: readonly (number | string | null)[];
}

/** Returns a tensor as a text: `features float32 [batch, 12]`. */
export function describeTensor({ name, type, shape }: DescribedTensor): string {
  const sizes = shape.map((size) => (isFixed(size) ? size : typeof size === 'string' && size !== '' ? size : '?'));
  return `${name} ${type ?? 'sequence or map'} [${sizes.join(', ')}]`;
}

/** Returns whether a dimension has a fixed size. Runtimes may write a dynamic size as a negative number. */
export function isFixed(size: number | string | null | undefined): size is number {
  return typeof size === 'number' && size >= 0;
}
