/**
 * A predictor: its immutable model version (artifact, feature query, mapping) and its policies, which may change at any
 * time. `tandem.config.ts` declares both. They are adopted into Postgres, where API and worker read them.
 */
import { createHash } from 'node:crypto';
import type { KeyType } from './user-id.ts';

/** The type of a feature in SQL and in events' data. */
export type FeatureKind = 'number' | 'integer' | 'boolean' | 'string';

export interface FeatureColumn {
  readonly name: string;
  readonly kind: FeatureKind;
  /**
   * The value that the model gets for a null; `'nan'` of a numeric column stands for NaN. Absent: a user with a null is
   * not scored.
   */
  readonly nullAs?: number | string;
  /** The texts of a string column that fills a numeric input. */
  readonly categories?: Categories;
}

/** The encoding of a text as numbers: its index in `values`, counted from 0, or zeros with a 1 at that index. */
export interface Categories {
  readonly values: readonly string[];
  readonly encoding: 'index' | 'one-hot';
  /**
   * The value of a text that is not among `values`: a number or NaN instead of an index, only zeros for a one-hot
   * column. Absent: a user with such a text is not scored.
   */
  readonly unknownAs?: number | 'nan' | 'zeros';
}

/**
 * A feature that each call sends, since only the application knows it. Its values are those of a batch of features:
 * booleans are 0 and 1. It is not a column of the feature query, and events do not carry it.
 */
export interface RequestColumn extends FeatureColumn {
  /** The value if a call sends none; null means NaN with `nullAs: 'nan'`. Absent: each call must send a value. */
  readonly default?: number | string | null;
  /** Bounds of a number, both inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** Values for the model's trial in admission. They affect no answer, so they are not part of a version's identity. */
  readonly examples?: readonly (number | string)[];
}

/** The feature source of a predictor: a query that gives one row a user. */
export interface FeatureQuery {
  /** A select with a column `user_id` and the feature columns; no trailing semicolon, no parameters. */
  readonly sql: string;
  /** Features in the model's order. */
  readonly columns: readonly FeatureColumn[];
  /** A timestamptz column of the query: event values accepted before its time yield to the row. */
  readonly asOf: string | null;
  /** Without `asOf`: how long an event's value overlays the row, in milliseconds. */
  readonly overlayForMs: number | null;
}

/** Element types of the tensors that a model may take or give. */
export type TensorType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string';

/**
 * An input tensor [users, values], filled from feature columns: one value a column, or its categories for a one-hot
 * column.
 */
export interface ModelInput {
  readonly name: string;
  readonly type: TensorType;
  readonly columns: readonly string[];
  /** 1 if the model takes an input of one column as [users]; absent if it takes it as [users, 1]. */
  readonly rank?: 1;
}

/** One field of a prediction, taken from one output tensor. */
export interface OutputField {
  /** The field's name in a prediction. */
  readonly name: string;
  /** The output tensor that the field is taken from. */
  readonly output: string;
  readonly type: TensorType;
  /** null: one value per user, at `index` of the tensor's row. n: a vector of n values that begins at `index`. */
  readonly width: number | null;
  readonly index: number;
}

export interface ModelDefinition {
  readonly predictor: string;
  readonly artifactHash: string;
  readonly keyType: KeyType;
  readonly query: FeatureQuery;
  /** Request features in the model's order, after the query's columns; absent: the predictor takes none. */
  readonly request?: readonly RequestColumn[];
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly OutputField[];
  /**
   * Whether each user is inferred alone: for a model whose rows depend on other rows of the batch, or that takes one
   * row at a time.
   */
  readonly rowByRow?: boolean;
}

export interface ModelVersion extends ModelDefinition {
  readonly id: string;
  /** The number for people: 1, 2, 3, … within its predictor. */
  readonly number: number;
}

export interface FreshnessPolicy {
  /** A stored prediction older than this is expired; null never expires. */
  readonly maxAgeMs: number | null;
  /** Whether a read may infer at all. */
  readonly live: boolean;
  readonly liveTimeoutMs: number;
  /** The rung below live: `stale` (then the default), `default`, or `error` (503 at once). */
  readonly onLiveFailure: 'stale' | 'default' | 'error';
  /** Whether a stored answer may be served as stale while Postgres does not answer. */
  readonly unverified: boolean;
  readonly default: Prediction | null;
  /** Glob patterns of the event types that concern this predictor. */
  readonly events: readonly string[];
  /** The time within which a user that an event made stale is re-scored; null: re-scoring is off; absent: 2 s. */
  readonly refresh?: { readonly withinMs: number } | null;
}

export interface BatchPolicy {
  /** Schedule of full runs: a cron expression in UTC; null: on demand only. */
  readonly schedule: string | null;
  /** Schedule of runs for changed users only, in the form of `schedule`; absent: none. */
  readonly changedSchedule?: string;
  /**
   * The budget of a scheduled run. It applies to runs of changed users if these have a schedule, else to runs of all
   * users. Absent: no limit.
   */
  readonly budget?: { readonly share: number } | { readonly cpuMinutes: number };
  readonly chunkSize: number;
  /** The lowest share of users that must be scored for a generation to be published, 0 to 1. */
  readonly minCoverage: number;
  /** Time limit in ms for the feature query to list its users for a run; absent: half an hour. */
  readonly planTimeoutMs?: number;
}

/** An application's decision: it selects the users with an output of at least the threshold. */
export interface DecisionPolicy {
  /** The name of an output with one number, or with a boolean, which counts as 0 or 1. */
  readonly output: string;
  readonly threshold: number;
}

/** How far a new generation may differ from the current one; null: no limit. */
export interface PublishPolicy {
  /** Limit of the PSI of an output's distribution, against the previous and the first generation. */
  readonly maxPsi: number | null;
  /** Limit of the share of users whose decision changes, 0 to 1. */
  readonly maxFlipRate: number | null;
  /** Limit of the mean of an output's absolute delta. */
  readonly maxMeanDelta: number | null;
  /** The lowest share of currently served users that the new generation must also have, 0 to 1. */
  readonly minCoverage: number | null;
  /** The least number of common users for which distributions are judged; with fewer, only `minCoverage` counts. */
  readonly minUsers: number;
  /** Time limit of the comparison in ms. */
  readonly reportTimeoutMs: number;
  /** What happens to a generation that could not be compared, or not in time; absent: it is held back. */
  readonly onTimeout?: 'hold' | 'publish';
}

/** Returns whether a comparison can hold a generation back. */
export function hasThresholds({ maxPsi, maxFlipRate, maxMeanDelta, minCoverage }: PublishPolicy): boolean {
  return [maxPsi, maxFlipRate, maxMeanDelta, minCoverage].some((limit) => limit !== null);
}

/** The policy of publication if a predictor declares none. */
export const PUBLISH_DEFAULTS: PublishPolicy = Object.freeze({
  maxPsi: null,
  maxFlipRate: null,
  maxMeanDelta: null,
  minCoverage: null,
  minUsers: 100,
  reportTimeoutMs: 120_000,
});

/** The users whose answers are kept with their inputs, and for how long. */
export interface ExplanationsPolicy {
  /** The share of users, above 0 and up to 1. Either all answers of a user are kept, or none. */
  readonly share: number;
  readonly keepForMs: number;
}

/** A table that the config declares as watched: triggers on it report changes. It is not part of a model version. */
export interface WatchPolicy {
  /** `table` or `schema.table`, as SQL spells it. */
  readonly table: string;
  /** An SQL expression over a row that gives its user id; null: a row belongs to every user. */
  readonly key: string | null;
  /** The columns whose changes count; null: all. */
  readonly columns: readonly string[] | null;
  readonly maxUsers?: number;
}

export interface Policy {
  readonly freshness: FreshnessPolicy;
  readonly batch: BatchPolicy;
  readonly decision?: DecisionPolicy;
  /** Feature columns that split a comparison of generations into segments. */
  readonly segments?: readonly string[];
  readonly publish?: PublishPolicy;
  /** The policy of kept explanations; absent: none are kept. */
  readonly explanations?: ExplanationsPolicy;
  /** The tables that the config declares as watched; absent: none. */
  readonly watch?: readonly WatchPolicy[];
}

export interface Predictor {
  readonly name: string;
  readonly keyType: KeyType;
  readonly policy: Policy;
}

/** A user's prediction as applications see it, with one field for each output. */
export type Prediction = Readonly<Record<string, PredictionValue>>;
export type PredictionValue = number | string | boolean | readonly (number | string | boolean)[];

/** Returns the identity of a model version: 32 hex digits of a hash over everything that decides an answer. */
export function modelVersionId(definition: ModelDefinition): string {
  const { predictor, artifactHash, keyType, query, request, inputs, outputs, rowByRow } = definition;
  const decisive = [
    predictor,
    artifactHash,
    keyType,
    [query.sql, query.columns.map(decisiveColumn), query.asOf, query.overlayForMs],
    inputs.map(({ name, type, columns, rank }) => [name, type, columns, ...said(rank)]),
    outputs.map((field) => [field.name, field.output, field.type, field.width, field.index]),
    ...said(rowByRow || undefined),
    ...said(request?.map(decisiveRequestColumn)),
  ];
  return createHash('sha256').update(JSON.stringify(decisive)).digest('hex').slice(0, 32);
}

function decisiveColumn({ name, kind, nullAs, categories }: FeatureColumn): readonly unknown[] {
  if (nullAs === undefined && categories === undefined) return [name, kind];
  return [name, kind, { nullAs }, categories && [categories.values, categories.encoding, categories.unknownAs ?? null]];
}

/** Returns the parts of a column that decide answers. An omitted field is not part of the hashed JSON. */
function decisiveRequestColumn({ default: value, min, max, ...column }: RequestColumn): readonly unknown[] {
  return [decisiveColumn(column), { default: value, min, max }];
}

/**
 * Returns a list with the setting, or an empty list if it is absent. A version without the setting then keeps the
 * identity that it had before the setting existed.
 */
function said(value: unknown): readonly unknown[] {
  return value === undefined ? [] : [value];
}
