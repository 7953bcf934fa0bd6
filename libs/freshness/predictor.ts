/**
 * What a predictor is: its immutable model version (artifact, feature query, mapping) and its policies, which may
 * change at any time. Both are adopted into Postgres from `tandem.config.ts`; API and worker read them from there.
 */
import { createHash } from 'node:crypto';
import type { KeyType } from './user-id.ts';

/** How a feature is typed in SQL and in events' data. */
export type FeatureKind = 'number' | 'integer' | 'boolean' | 'string';

export interface FeatureColumn {
  readonly name: string;
  readonly kind: FeatureKind;
  /** What the model is given for a null; `'nan'` of a numeric column is NaN. Absent: a user with a null is not scored. */
  readonly nullAs?: number | string;
  /** The texts of a string column that fills a numeric input. */
  readonly categories?: Categories;
}

/** How a text becomes numbers: its place in `values`, counted from 0, or a 1 at that place among zeros. */
export interface Categories {
  readonly values: readonly string[];
  readonly encoding: 'index' | 'one-hot';
  /**
   * What a text that is not among `values` counts as: a number or NaN as its index, zeros everywhere as its one-hot.
   * Absent: a user with such a text is not scored.
   */
  readonly unknownAs?: number | 'nan' | 'zeros';
}

/**
 * A feature that each call sends: known only when the application asks. Values as in a batch of features: booleans are 0 and
 * 1. It is no column of the feature query, and no event carries it.
 */
export interface RequestColumn extends FeatureColumn {
  /** The value of a call that sends none; null with `nullAs: 'nan'`: NaN. Absent: each call must send one. */
  readonly default?: number | string | null;
  /** Bounds of a number, both inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** Values that admission tries the model with. They decide no answer, so they are no part of a version's identity. */
  readonly examples?: readonly (number | string)[];
}

/** The feature source of a predictor: a query that gives one row a user. */
export interface FeatureQuery {
  /** A select with a column `user_id` and the feature columns; no trailing semicolon, no parameters. */
  readonly sql: string;
  /** Features in the model's order. */
  readonly columns: readonly FeatureColumn[];
  /** A timestamptz column of the query: event values accepted before it give way to the row. */
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

/** One input tensor [users, values], filled from feature columns: a value a column, a one-hot column its categories. */
export interface ModelInput {
  readonly name: string;
  readonly type: TensorType;
  readonly columns: readonly string[];
  /** Of an input of one column that the model takes as [users] rather than [users, 1]. */
  readonly rank?: 1;
}

/** One field of a prediction, taken from one output tensor. */
export interface OutputField {
  /** The field's name in a prediction. */
  readonly name: string;
  /** The tensor it is taken from. */
  readonly output: string;
  readonly type: TensorType;
  /** null: one value a user, at `index` of the tensor's row. n: a vector of the n values from `index` on. */
  readonly width: number | null;
  readonly index: number;
}

export interface ModelDefinition {
  readonly predictor: string;
  readonly artifactHash: string;
  readonly keyType: KeyType;
  readonly query: FeatureQuery;
  /** In the model's order, behind the query's columns; absent: the predictor takes none. */
  readonly request?: readonly RequestColumn[];
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly OutputField[];
  /** Each user is inferred alone: for a model whose rows depend on their batch mates, or that takes one row at a time. */
  readonly rowByRow?: boolean;
}

export interface ModelVersion extends ModelDefinition {
  readonly id: string;
  /** For people: 1, 2, 3, … of its predictor. */
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
  /** Whether a stored answer may be served, as stale, while Postgres does not answer. */
  readonly unverified: boolean;
  readonly default: Prediction | null;
  /** Glob patterns of the event types that concern this predictor. */
  readonly events: readonly string[];
  /** In which window users whom events made stale are re-scored; null: they are not; absent: 2 s. */
  readonly refresh?: { readonly withinMs: number } | null;
}

export interface BatchPolicy {
  /** Of runs of everyone: a cron expression in UTC; null: on demand only. */
  readonly schedule: string | null;
  /** Of runs of changed users alone, as `schedule`; absent: none. */
  readonly changedSchedule?: string;
  /** What a scheduled run may cost: of changed users, where they have a schedule, else of everyone. Absent: no limit. */
  readonly budget?: { readonly share: number } | { readonly cpuMinutes: number };
  readonly chunkSize: number;
  /** The least share of users that must be scored for a generation to be published, 0 to 1. */
  readonly minCoverage: number;
  /** Milliseconds in which the feature query lists its users for a run; half an hour where it is not there. */
  readonly planTimeoutMs?: number;
}

/** What an application decides by: users whose output is at least the threshold. */
export interface DecisionPolicy {
  /** A field of the prediction with one number, or a boolean, which counts as 0 or 1. */
  readonly output: string;
  readonly threshold: number;
}

/** How far a new generation may be from the one that is served; null: as far as it will. */
export interface PublishPolicy {
  /** Of the distribution of an output. */
  readonly maxPsi: number | null;
  /** Share of users whose decision is another, 0 to 1. */
  readonly maxFlipRate: number | null;
  /** Mean of an output's absolute delta. */
  readonly maxMeanDelta: number | null;
  /** The least share of the users served now who are in the new generation too, 0 to 1. */
  readonly minCoverage: number | null;
  /** Fewer users than these in both say nothing of distributions: then only `minCoverage` counts. */
  readonly minUsers: number;
  /** Milliseconds for the comparison. */
  readonly reportTimeoutMs: number;
  /** What becomes of a generation that could not be compared in time, or at all: held back where it is not there. */
  readonly onTimeout?: 'hold' | 'publish';
}

/** Whether a comparison can hold a generation back. */
export function hasThresholds({ maxPsi, maxFlipRate, maxMeanDelta, minCoverage }: PublishPolicy): boolean {
  return [maxPsi, maxFlipRate, maxMeanDelta, minCoverage].some((limit) => limit !== null);
}

/** What counts where a policy says nothing of publication. */
export const PUBLISH_DEFAULTS: PublishPolicy = Object.freeze({
  maxPsi: null,
  maxFlipRate: null,
  maxMeanDelta: null,
  minCoverage: null,
  minUsers: 100,
  reportTimeoutMs: 120_000,
});

/** Whose answers are kept with what they were made of, and for how long. */
export interface ExplanationsPolicy {
  /** Of the users, above 0 up to 1; all answers of a user, or none. */
  readonly share: number;
  readonly keepForMs: number;
}

/** A table that the config declares as watched: triggers on it report changes. It belongs to no model version. */
export interface WatchPolicy {
  /** `table` or `schema.table`, as SQL spells it. */
  readonly table: string;
  /** SQL over a row that gives its user id; null: a row belongs to every user. */
  readonly key: string | null;
  /** The columns whose changes count; null: all. */
  readonly columns: readonly string[] | null;
  readonly maxUsers?: number;
}

export interface Policy {
  readonly freshness: FreshnessPolicy;
  readonly batch: BatchPolicy;
  readonly decision?: DecisionPolicy;
  /** Feature columns by whose values generations are compared. */
  readonly segments?: readonly string[];
  readonly publish?: PublishPolicy;
  /** Absent: none is kept. */
  readonly explanations?: ExplanationsPolicy;
  /** Absent: the config declares no table. */
  readonly watch?: readonly WatchPolicy[];
}

export interface Predictor {
  readonly name: string;
  readonly keyType: KeyType;
  readonly policy: Policy;
}

/** A user's prediction as applications see it: a field for each output. */
export type Prediction = Readonly<Record<string, PredictionValue>>;
export type PredictionValue = number | string | boolean | readonly (number | string | boolean)[];

/** The identity of a model version: 32 hex digits over everything that decides an answer. */
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

/** A field that is left out stays out of the JSON. */
function decisiveRequestColumn({ default: value, min, max, ...column }: RequestColumn): readonly unknown[] {
  return [decisiveColumn(column), { default: value, min, max }];
}

/** What a definition does not say leaves its identity as it was before there was a setting for it. */
function said(value: unknown): readonly unknown[] {
  return value === undefined ? [] : [value];
}
