/**
 * The settings of `tandem.config.ts`, with the meaning of each, so that an editor can complete and explain them.
 * Servers and secrets come from the environment (environment.ts).
 */
import type { TensorType } from '@tandem/freshness/predictor';
import type { Duration } from '@tandem/wire/durations';

export interface TandemConfig {
  /**
   * Predictors by name. A name is part of URLs: a lower-case letter, then up to 62 of `a-z 0-9 _ -`. All predictors must
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
   * Runs, and reads without request features, use the defaults. If a request feature has no default, the predictor has
   * no stored predictions (docs/request-features.md).
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
   * Infers each user alone, which is slower. Use it for a model that takes one row at a time, or whose answers depend
   * on other rows of the batch. Default false.
   */
  readonly rowByRow?: boolean;
  readonly freshness?: FreshnessConfig;
  readonly batch?: BatchConfig;
  /**
   * The decision that the application derives from a prediction. If it is set, comparisons of generations count flipped
   * decisions.
   */
  readonly decision?: DecisionConfig;
  /**
   * At most 10 feature columns of the query. Comparisons of generations also compare users by the values of these
   * columns.
   */
  readonly segments?: readonly string[];
  /**
   * How far a new generation may differ from the current one. A generation beyond a threshold is held back until an
   * operator approves it. Every generation is compared, even without this setting.
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
  /** An output with one number for each user; a boolean counts as 0 or 1. */
  readonly output: string;
  readonly threshold: number;
}

/**
 * Thresholds; a threshold that is not set is off. Thresholds for outputs apply to the output of `decision`; without a
 * decision, to each output with one number for each user.
 */
export interface PublishConfig {
  /**
   * Limit of the population stability index of an output, against the previous and the first generation: by convention
   * 0.1 is a small shift, 0.25 a large shift.
   */
  readonly maxPsi?: number;
  /** Limit of the share of users whose decision flips, 0 to 1. */
  readonly maxFlipRate?: number;
  /** Limit of the mean absolute delta of an output. */
  readonly maxMeanDelta?: number;
  /** The lowest share of currently served users that the new generation must include, 0 to 1. */
  readonly minCoverage?: number;
  /** The least number of users who are in both generations; with fewer, only `minCoverage` applies. Default 100. */
  readonly minUsers?: number;
  /** How long a comparison may take; at most `1h`. Default `2m`. */
  readonly reportTimeout?: Duration;
  /**
   * What happens if not even a sample could be compared within `reportTimeout`: the generation is held back or
   * published. Without a threshold, nothing is held back. Default `hold`.
   */
  readonly onTimeout?: 'hold' | 'publish';
}

/**
 * The feature query, and how long a value sent by an event overlays the row. A predictor whose events carry values
 * needs `asOf` or `overlayFor`. Without them, events only say that the user changed.
 */
export interface FeaturesConfig {
  /**
   * One select with a column `user_id` (bigint, uuid or text) and the features as typed columns, in the model's order:
   * integers, `float4`, `float8`, booleans, or text. One row for each user. No semicolon, no parameters.
   */
  readonly sql: string;
  /**
   * A `timestamptz` column of the query: when the row was last loaded, by the database's clock. The row then takes
   * precedence over the values of earlier events. The column is not a feature. Excludes `overlayFor`.
   */
  readonly asOf?: string;
  /** How long an event's value overlays the row, counted from the event's acceptance. Excludes `asOf`. */
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
   * Tables of the query whose changes make stored predictions stale at once, without an event. Adopting the config
   * creates triggers on these tables; only `tandem unwatch` removes them. A change of another table takes effect at the
   * next run or at `maxAge`.
   */
  readonly watch?: readonly WatchConfig[];
}

/** A watched source, with either `key` or `everyone`. */
export interface WatchConfig {
  /** `table` or `schema.table`, as in SQL. For a view, name the tables beneath it. */
  readonly table: string;
  /**
   * An SQL expression for a row's user id, usually a column such as `customer_id`. Names of other tables need their
   * schema.
   */
  readonly key?: string;
  /** Whether a row concerns every user, as in a price list. Each change then makes all stored predictions stale. */
  readonly everyone?: true;
  /** The columns whose changes count. Default: all. */
  readonly columns?: readonly string[];
  /** A statement that changes more users than this makes all stored predictions stale. Default 10000. */
  readonly maxUsers?: number;
}

export interface CategoriesConfig {
  /** The column's texts, in the model's order. */
  readonly values: readonly string[];
  /**
   * `index`: one value, the position of the text in `values`, from 0. `one-hot`: a value for each of the texts, which
   * is 1 for the user's text and 0 for the others.
   */
  readonly as: 'index' | 'one-hot';
  /**
   * The encoding of a text that is not in `values`: a number or `'nan'` for `index`, `'zeros'` for `one-hot`. Default:
   * a user with such a text is not scored.
   */
  readonly unknown?: number | 'nan' | 'zeros';
}

export type RequestType = 'number' | 'integer' | 'boolean' | 'string';

export interface RequestFeatureConfig {
  readonly type: RequestType;
  /** Bounds of a number, both inclusive. A call with a value outside is rejected. */
  readonly min?: number;
  readonly max?: number;
  /** Encoding of texts, as in `features.categories`. */
  readonly categories?: readonly string[] | CategoriesConfig;
  /**
   * The value for runs, and for calls without this feature. For a number, `'nan'` means NaN. Without a default, each
   * call must send a value.
   */
  readonly default?: number | boolean | string;
  /** At most 20 values for the trial of the model. */
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
  /**
   * The position, from 0, of the first value taken from a user's row of the tensor. Required if the row has several
   * values. Default 0.
   */
  readonly index?: number;
  /** The number of values to take as an array. Default: one value, not in an array. */
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
   * The fallback if there is no fresh answer, and live inference failed, was too late, was overloaded or is off.
   * `stale`: the stored prediction, marked stale; without one, the default. `default`: the default. `error`: 503.
   * Default `stale`.
   */
  readonly onLiveFailure?: 'stale' | 'default' | 'error';
  /** Whether a stored prediction may be served, marked stale, while the database does not answer. Default true. */
  readonly unverified?: boolean;
  /** The prediction that is served as the last fallback: a finite value for each output, and no other field. */
  readonly default?: Readonly<Record<string, DefaultValue>>;
  /**
   * Types of the events that make a user's stored prediction stale; `*` matches any characters. `[]`: no event does.
   * Default `['*']`.
   */
  readonly events?: readonly string[];
  /**
   * Re-scores users that events made stale, before a read asks for them. `within`, from `1s` to `10m`, is the time
   * limit, and also the shortest time between two re-scorings of a user. Workers spend a limited share of inference on
   * re-scoring (`REFRESH_SHARE`). With `false`, the next read infers. Default `{ within: '2s' }`.
   */
  readonly refresh?: false | { readonly within: Duration };
}

export type DefaultValue = number | string | boolean | readonly (number | string | boolean)[];

/** When and how users are scored ahead of time. */
export interface BatchConfig {
  /**
   * When all users are scored: a cron expression of five fields, in UTC, such as `0 2 * * *` for 02:00 every night.
   * With `{ everyone: '0 3 * * 0', changed: '0 * * * *' }`, `everyone` scores all users, and `changed` scores users
   * whose context has changed since they were scored. Default: on demand only.
   */
  readonly schedule?: string | ScheduleConfig;
  /**
   * The budget of a scheduled run: `{ share: 0.25 }` of the users, or `{ cpuMinutes: 30 }` of CPU time of workers. The
   * run first scores users who changed, the most read first, then other users who are likely to be read. The rest
   * keep their predictions. With a `changed` schedule, the budget limits only the runs of that schedule, which then
   * also score users who did not change. Default: no limit.
   */
  readonly budget?: BudgetConfig;
  /**
   * The most users in a chunk, which is the unit of work, of retries and of memory. 1 to 50,000, default 10,000. Slow
   * chunks get fewer users.
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

/** Two schedules, each a cron expression as in `batch.schedule`. At a time that matches both, all users are scored. */
export interface ScheduleConfig {
  readonly everyone: string;
  readonly changed: string;
}

/** A share of the users, above 0 up to 1; or minutes of CPU time. */
export type BudgetConfig = { readonly share: number } | { readonly cpuMinutes: number };

/** Returns the config unchanged, with its type. The config is checked when it is loaded (load-config.ts). */
export function defineConfig(config: TandemConfig): TandemConfig {
  return config;
}
