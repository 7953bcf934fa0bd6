/** Model versions over the wire, as the service's OpenAPI document describes them. */

export interface ModelView {
  readonly predictor: string;
  /** Its number. */
  readonly modelVersion: string;
  /** The SHA-256 of the model file, in hex. */
  readonly artifact: string;
  /** Of the file. */
  readonly bytes: number;
  /** When it was adopted or pushed first. */
  readonly createdAt: string;
  /** Since when it is archived; null: it is not. */
  readonly archivedAt: string | null;
  /** Who brought it (`key:ci`, `api`, `cli`), and whether with a config or by itself. */
  readonly origin: { readonly by: string; readonly how: 'adopt' | 'push' };
  /** The arms that name it; empty where nobody is served by it. */
  readonly variants: readonly string[];
  readonly labels: readonly string[];
  /** Whether it has the certificate of its trial. */
  readonly verified: boolean;
  readonly note: string;
  /** As its owner gave them. */
  readonly metrics: Readonly<Record<string, number>>;
  /** The kind of an optimised build, and the model version that it was made of. */
  readonly build: string | null;
  readonly parent: string | null;
  /** The tensors that it takes, each filled from feature columns. */
  readonly inputs: readonly { readonly name: string; readonly type: string; readonly columns: readonly string[] }[];
  /** The fields of its predictions, each with the tensor it is taken from. */
  readonly outputs: readonly {
    readonly name: string;
    readonly output: string;
    readonly type: string;
    /** Null: one value a user, at `index`; else a vector of so many from there. */
    readonly width: number | null;
    readonly index: number;
  }[];
}

interface TensorView {
  readonly name: string;
  readonly type: string | null;
  readonly shape: readonly (number | string | null)[];
}

/** The certificate of a trial: the same users got the same answers alone, again, together, and read in both ways. */
export interface ParityView {
  readonly users: { readonly real: number; readonly madeUp: number };
  /** For whom the model has no answer. */
  readonly refused: { readonly real: number; readonly madeUp: number };
  /** Users who get the same answer from what a live read reads of them and from what a run reads. */
  readonly readBothWays: number;
  readonly batchSizes: readonly number[];
  readonly comparisons: number;
  /** Relative; 0: equal to the last bit. */
  readonly tolerance: number;
  readonly largestDifference: {
    readonly output: string;
    readonly alone: number | string | boolean;
    readonly other: number | string | boolean;
    readonly difference: number;
    /** Of what is allowed there. */
    readonly ofAllowed: number;
  } | null;
}

export interface ModelDetail extends ModelView {
  readonly features: {
    readonly sql: string;
    readonly columns: readonly { readonly name: string; readonly kind: string }[];
    readonly asOf: string | null;
    readonly overlayForMs: number | null;
  };
  readonly rowByRow: boolean;
  /** What the file says of itself. */
  readonly metadata: {
    readonly inputs: readonly TensorView[];
    readonly outputs: readonly TensorView[];
    readonly opset: Readonly<Record<string, number>>;
    readonly irVersion: number;
    readonly producer: string;
    readonly bytes: number;
  } | null;
  readonly parity: ParityView | null;
}

/** What is new in a version, in a config's words; what is left out is as in the version that is served, or in a build's parent. */
export interface PushInput {
  readonly features?: {
    readonly sql?: string;
    /** Null: none. */
    readonly asOf?: string | null;
    readonly overlayFor?: string | null;
    readonly nulls?: Readonly<Record<string, number | boolean | string>>;
    readonly categories?: Readonly<Record<string, unknown>>;
  };
  /** Null: columns fill them by themselves. */
  readonly inputs?: Readonly<Record<string, unknown>> | null;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly rowByRow?: boolean;
  readonly note?: string;
  readonly metrics?: Readonly<Record<string, number>>;
  /** Moves to the version. */
  readonly label?: string;
  /** Of an optimised build: the number of the model version that it was made of, and its kind. */
  readonly parent?: string;
  readonly build?: string;
}

export interface ArtifactView {
  readonly artifact: string;
  readonly bytes: number | null;
  /** How much is there without a gap. */
  readonly received: number;
  readonly complete: boolean;
}

export interface MovedLabel {
  readonly predictor: string;
  readonly label: string;
  readonly from: string | null;
  readonly to: string;
}
