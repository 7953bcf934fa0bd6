/**
 * The settings of `tandem.config.ts`, with the meaning of each, so that an editor completes and explains them. Servers
 * and secrets are not here: they come from the environment (environment.ts).
 */
import type { TensorType } from '@tandem/freshness/predictor';
import type { Duration } from '@tandem/wire/durations';

export interface TandemConfig {
  /**
   * Predictors by name. A name is part of URLs: a lower-case letter, then up to 62 of `a-z 0-9 _ -`. All of them must
   * have the same type of user id.
   */
  readonly predictors: Readonly<Record<string, PredictorConfig>>;
}

/** One per-user prediction: a model, its features, and how fresh its answers must be. */
export interface PredictorConfig {
  /** The ONNX file, as a path relative to this config file. */
  readonly model: string;
  readonly features: FeaturesConfig;
  /**
   * Features that each call sends, such as the amount of a payment: `{ amount: 'number' }`, or with bounds and a
   * default `{ amount: { type: 'number', min: 0, default: 40 } }`. The model takes them after the query's columns.
   * Runs, and reads without them, use the defaults. If one has no default, the predictor has no stored predictions
   * (docs/request-features.md).
   */
  readonly request?: Readonly<Record<string, RequestType | RequestFeatureConfig>>;
  /**
   * The feature columns that fill each input tensor. Default: a model's single input takes all columns in the query's
   * order; each of several inputs takes the column of its own name (case-insensitive).
   */
  readonly inputs?: Readonly<Record<string, InputConfig>>;
  /**
   * The fields of a prediction. Short form, for a tensor of the field's own name with one value a user:
   * `{ score: 'float32' }`. Long form: `{ score: { from: 'probabilities', type: 'float32', index: 1 } }`.
   */
  readonly outputs: Readonly<Record<string, OutputType | OutputConfig>>;
  /**
   * Infers each user alone: for a model that takes one row at a time, or whose rows depend on other rows of the batch.
   * Slower. Default false.
   */
  readonly rowByRow?: boolean;
  readonly freshness?: FreshnessConfig;
  readonly batch?: BatchConfig;
  /** The application's decision by a prediction: comparisons of generations then count flipped decisions. */
  readonly decision?: DecisionConfig;
  /** At most 10 feature columns of the query. Comparisons of generations are also made by their values. */
  readonly segments?: readonly string[];
  /**
   * How far a new generation may differ from the current one. A generation beyond a threshold is held back until an
   * operator approves it. Every generation is compared, also without this setting.
   */
  readonly publish?: PublishConfig;
  /** Keeps answers with their inputs, so that they can be shown and replayed. Default: none is kept. */
  readonly explanations?: ExplanationsConfig;
}

/** Settings of kept explanations. They contain features of users, so they expire, and an erasure deletes them. */
export interface ExplanationsConfig {
  /** Share of the users, 0.0001 to 1: all answers of a sampled user are kept, up to 50 a second in each process. */
  readonly share: number;
  /**
   * How long explanations are kept; `1m` to `365d`. Default `30d`. At most the newest 100,000 of a predictor are kept.
   */
  readonly keepFor?: Duration;
}

/** A decision: users whose output is at least the threshold. */
export interface DecisionConfig {
  /** An output with one number (or boolean: 0 or 1) a user. */
  readonly output: string;
  readonly threshold: number;
}

/**
 * Thresholds; an absent one is off. Thresholds of an output apply to the decision's output if there is a decision, else
 * to each output with one number a user.
 */
export interface PublishConfig {
  /** Limit of the population stability index of an output: by convention 0.1 is a small shift, 0.25 a large shift. */
  readonly maxPsi?: number;
  /** Limit of the share of users whose decision flips, 0 to 1. */
  readonly maxFlipRate?: number;
  /** Limit of the mean absolute delta of an output. */
  readonly maxMeanDelta?: number;
  /** The lowest share of currently served users that the new generation must have too, 0 to 1. */
  readonly minCoverage?: number;
  /** The least number of users: with fewer in both generations only `minCoverage` counts. Default 100. */
  readonly minUsers?: number;
  /** How long a comparison may take; at most `1h`. Default `2m`. */
  readonly reportTimeout?: Duration;
  /**
   * Whether a generation is held back or published if not even a sample could be compared within `reportTimeout`. Needs
   * a threshold: without one nothing is held back. Default `hold`.
   */
  readonly onTimeout?: 'hold' | 'publish';
}

/**
 * The feature query, and how long a value sent by an event overlays the row. A predictor whose events carry values
 * needs `asOf` or `overlayFor`; with neither, events only say that the user changed.
 */
export interface FeaturesConfig {
  /**
   * One select with a column `user_id` (bigint, uuid or text) and the features as typed columns, in the model's order:
   * integers, `float4`, `float8`, booleans, or text. One row a user. No semicolon, no parameters.
   */
  readonly sql: string;
  /**
   * A `timestamptz` column of the query, on the database's own clock: when the row was last loaded. A value from an
   * event before that time yields to the row. The column is not a feature. Not together with `overlayFor`.
   */
  readonly asOf?: string;
  /** How long an event's value overlays the row, counted from its acceptance. Not together with `asOf`. */
  readonly overlayFor?: Duration;
  /**
   * The model's input for a null, by column: `{ income: 'nan', visits: 0, plan: 'unknown' }`. A number, `'nan'` (inputs
   * of floats only), or a text for a text column. A user with a null in any other column is not scored.
   */
  readonly nulls?: Readonly<Record<string, number | boolean | string>>;
  /**
   * The encoding of a text column for a numeric input: its texts in the order that the model was trained with. An array
   * is short for `{ values, as: 'index' }`.
   */
  readonly categories?: Readonly<Record<string, readonly string[] | CategoriesConfig>>;
  /**
   * Tables that the query reads and whose changes make stored predictions stale at once, without an event. Adopting the
   * config creates triggers on them; only `tandem unwatch` removes those. A change of any other table is seen at the next
   * run or at `maxAge`.
   */
  readonly watch?: readonly WatchConfig[];
}

/** A watched source. It takes either `key` or `everyone`. */
export interface WatchConfig {
  /** `table` or `schema.table`, as in SQL. For a view, name the tables beneath it. */
  readonly table: string;
  /** SQL that gives a row's user id, mostly a column: `customer_id`. Other tables in it need their schema. */
  readonly key?: string;
  /** A row belongs to every user, as a price list does: each change makes all stored predictions stale. */
  readonly everyone?: true;
  /** The columns whose changes count. Default: all. */
  readonly columns?: readonly string[];
  /** A statement that changes more users makes all stored predictions stale instead. Default 10000. */
  readonly maxUsers?: number;
}

export interface CategoriesConfig {
  /** The column's texts, in the model's order. */
  readonly values: readonly string[];
  /**
   * `index`: one value, the text's place in `values`, from 0. `one-hot`: one value for each text, in place of the
   * column: 1 for the user's text, 0 for the others.
   */
  readonly as: 'index' | 'one-hot';
  /**
   * The value of a text that is not among `values`: a number or `'nan'` as an index, `'zeros'` as one-hot. Default: a
   * user with such a text is not scored.
   */
  readonly unknown?: number | 'nan' | 'zeros';
}

export type RequestType = 'number' | 'integer' | 'boolean' | 'string';

export interface RequestFeatureConfig {
  readonly type: RequestType;
  /** Bounds of a number, both inclusive. A call with a value outside is rejected. */
  readonly min?: number;
  readonly max?: number;
  /** Encoding of texts, as `features.categories`. */
  readonly categories?: readonly string[] | CategoriesConfig;
  /**
   * The value for runs and for calls that send none; `'nan'` for a number is NaN. Default: each call must send a value.
   */
  readonly default?: number | boolean | string;
  /** At most 20 values that the model is tried with. */
  readonly examples?: readonly (number | boolean | string)[];
}

export interface InputConfig {
  /** The tensor's element type. */
  readonly type: OutputType;
  /** Feature columns in the tensor's order. */
  readonly columns: readonly string[];
}

/** Element type of a tensor, as the model's signature names it. */
export type OutputType = TensorType;

export interface OutputConfig {
  /** The output tensor. */
  readonly from: string;
  /** The tensor's element type. */
  readonly type: OutputType;
  /** The first value taken from a user's row of the tensor, from 0. Required if the row has several. Default 0. */
  readonly index?: number;
  /** Takes this many values as an array. Default: one value, not in an array. */
  readonly width?: number;
}

/** How fresh answers must be, and the fallback if there is no fresh answer. */
export interface FreshnessConfig {
  /**
   * A stored prediction older than this is expired. Must be longer than the time between two runs. Default: never
   * expires.
   */
  readonly maxAge?: Duration;
  /** Whether a read may run the model for a user without a fresh stored prediction. Default true. */
  readonly live?: boolean;
  /** How long a read waits for live inference, at most `30s`. Default `50ms`. */
  readonly liveTimeout?: Duration;
  /**
   * The fallback if there is no fresh answer and live inference failed, was too late, overloaded or switched off.
   * `stale`: the stored prediction, marked stale, else the default. `default`: the default at once. `error`: 503.
   * Default `stale`.
   */
  readonly onLiveFailure?: 'stale' | 'default' | 'error';
  /** Whether a stored prediction may be served, marked stale, while the database does not answer. Default true. */
  readonly unverified?: boolean;
  /** The prediction served as the last fallback: a finite value for each output, and no other field. */
  readonly default?: Readonly<Record<string, DefaultValue>>;
  /**
   * Types of the events that make a user's stored prediction stale; `*` matches any characters. `[]`: no event does.
   * Default `['*']`.
   */
  readonly events?: readonly string[];
  /**
   * Re-scores users made stale by events before a read asks. `{ within: '2s' }`, from `1s` to `10m`, is the time limit
   * and also the shortest time between two re-scorings of a user. A worker spends a limited share of its inference on
   * it (`REFRESH_SHARE`). `false`: the next read infers. Default `{ within: '2s' }`.
   */
  readonly refresh?: false | { readonly within: Duration };
}

export type DefaultValue = number | string | boolean | readonly (number | string | boolean)[];

/** When and how users are scored ahead of time. */
export interface BatchConfig {
  /**
   * When all users are scored: a cron expression of five fields, in UTC: `0 2 * * *` is 02:00 every night. With `{
   * everyone: '0 3 * * 0', changed: '0 * * * *' }` the first scores all users, the second scores users whose context
   * has changed since they were scored. Default: on demand only.
   */
  readonly schedule?: string | ScheduleConfig;
  /**
   * The budget of a scheduled run: `{ share: 0.25 }` of the users, or `{ cpuMinutes: 30 }` of CPU time of workers. It
   * scores users who changed, the most read first, then other users who are likely to be read; the rest keep their
   * predictions. If there is a `changed` schedule, the budget limits only its runs, which then also score users who did
   * not change. Default: no limit.
   */
  readonly budget?: BudgetConfig;
  /**
   * The most users in a chunk, the unit of work, of retry and of memory. 1 to 50,000, default 10,000. Slow chunks get
   * fewer.
   */
  readonly chunkSize?: number;
  /** The lowest share of users that must be scored for a run to be published, 0 to 1. Default 0.9. */
  readonly minCoverage?: number;
  /**
   * How long the feature query may take to list its users when a run is planned; `1s` to `24h`. A run whose query takes
   * longer fails. Default `30m`.
   */
  readonly planTimeout?: Duration;
}

/** Two schedules, each as `batch.schedule`. At a time that matches both, all users are scored. */
export interface ScheduleConfig {
  readonly everyone: string;
  readonly changed: string;
}

/** A share of the users, above 0 up to 1; or minutes of CPU time. */
export type BudgetConfig = { readonly share: number } | { readonly cpuMinutes: number };

/** Gives the config back unchanged; it is here for the types. It is checked when it is loaded (load-config.ts). */
export function defineConfig(config: TandemConfig): TandemConfig {
  return config;
}
