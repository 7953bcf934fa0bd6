/**
 * What `tandem.config.ts` may say, with the meaning of every setting, so that an editor completes and explains it.
 * Servers and secrets are not here: they come from the environment (environment.ts).
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

/** One per-user prediction: a model, where its features come from, and how fresh its answers must be. */
export interface PredictorConfig {
  /** The ONNX file, as a path relative to this config file. */
  readonly model: string;
  readonly features: FeaturesConfig;
  /**
   * Features that each call sends, such as the amount of a payment: `{ amount: 'number' }`, or with bounds and a default
   * `{ amount: { type: 'number', min: 0, default: 40 } }`. The model takes them behind the query's columns. Runs and reads that
   * send none use the defaults; if one has no default, the predictor has no stored predictions (docs/request-features.md).
   */
  readonly request?: Readonly<Record<string, RequestType | RequestFeatureConfig>>;
  /**
   * Which feature columns fill which input tensor. Left out, a model's single input takes all columns in the query's
   * order, and each of several inputs takes the column of its own name (in any case of letters).
   */
  readonly inputs?: Readonly<Record<string, InputConfig>>;
  /**
   * The fields of a prediction. Short form, for a tensor of the field's own name with one value a user:
   * `{ score: 'float32' }`. Long form: `{ score: { from: 'probabilities', type: 'float32', index: 1 } }`.
   */
  readonly outputs: Readonly<Record<string, OutputType | OutputConfig>>;
  /**
   * Infer each user alone: for a model that was exported for one row at a time, or whose rows depend on their batch
   * mates. Slower. Default false.
   */
  readonly rowByRow?: boolean;
  readonly freshness?: FreshnessConfig;
  readonly batch?: BatchConfig;
  /** What the application does with a prediction: then a comparison of generations counts whose decision flips. */
  readonly decision?: DecisionConfig;
  /** At most 10 feature columns of the query, by whose values generations are compared too. */
  readonly segments?: readonly string[];
  /**
   * How far a new generation may be from the one that is served; what is further is held back until somebody approves of
   * it. Every generation is compared, also without this setting.
   */
  readonly publish?: PublishConfig;
  /** Keeps answers with what they were made of, so that they can be shown and computed again. Left out: none is kept. */
  readonly explanations?: ExplanationsConfig;
}

/** They hold features of users: they are kept for a while only, and an erasure takes them. */
export interface ExplanationsConfig {
  /** Of the users, 0.0001 to 1: all answers of such a user are kept, up to 50 a second in each process. */
  readonly share: number;
  /** For how long; `1m` to `365d`. Default `30d`. At most 100,000 of a predictor are kept, the newest. */
  readonly keepFor?: Duration;
}

/** Users are decided for whose output is at least the threshold. */
export interface DecisionConfig {
  /** An output with one number (or boolean: 0 or 1) a user. */
  readonly output: string;
  readonly threshold: number;
}

/**
 * Thresholds, each off where it is left out. Those of an output are of the decision's, where there is a decision, else of
 * each with one number a user.
 */
export interface PublishConfig {
  /** Population stability index of an output: by custom 0.1 is a small shift, 0.25 a large one. */
  readonly maxPsi?: number;
  /** Share of users whose decision flips, 0 to 1. */
  readonly maxFlipRate?: number;
  /** Mean of the absolute delta of an output. */
  readonly maxMeanDelta?: number;
  /** The least share of the users served now who are in the new generation too, 0 to 1. */
  readonly minCoverage?: number;
  /** With fewer users in both generations only `minCoverage` counts. Default 100. */
  readonly minUsers?: number;
  /** How long a comparison may take; at most `1h`. Default `2m`. */
  readonly reportTimeout?: Duration;
  /**
   * Whether a generation of which not even a sample could be compared in `reportTimeout` is held back or published. Needs a
   * threshold: without one nothing is held back. Default `hold`.
   */
  readonly onTimeout?: 'hold' | 'publish';
}

/**
 * Where features are read, and until when a value sent by an event overlays the row. A predictor whose events carry
 * values needs `asOf` or `overlayFor`; with neither, events say only that the user changed.
 */
export interface FeaturesConfig {
  /**
   * One select with a column `user_id` (bigint, uuid or text) and the features as typed columns, in the model's order:
   * integers, `float4`, `float8`, booleans, or text. One row a user. No semicolon, no parameters.
   */
  readonly sql: string;
  /**
   * A `timestamptz` column of the query, on the database's own clock: when the row was last loaded. A value that an
   * event sent before that moment gives way to the row. It is not a feature. Not together with `overlayFor`.
   */
  readonly asOf?: string;
  /** How long an event's value overlays the row, counted from its acceptance. Not together with `asOf`. */
  readonly overlayFor?: Duration;
  /**
   * What the model is given for a null, by column: `{ income: 'nan', visits: 0, plan: 'unknown' }`; a number, `'nan'`
   * (inputs of floats alone), or a text for a text column. A user with a null in any other column is not scored.
   */
  readonly nulls?: Readonly<Record<string, number | boolean | string>>;
  /**
   * How a text column fills an input of numbers: its texts in the order that the model was trained with. An array is
   * short for `{ values, as: 'index' }`.
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
  /** `table` or `schema.table`, as SQL spells it. Of a view, the tables beneath it. */
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
   * `index`: one value, the text's place in `values`, from 0. `one-hot`: as many values as there are texts, in place of
   * the column: 1 for the user's own, 0 for the others.
   */
  readonly as: 'index' | 'one-hot';
  /**
   * What a text counts as that is not among `values`: a number or `'nan'` as an index, `'zeros'` as one-hot. Left out: a
   * user with such a text is not scored.
   */
  readonly unknown?: number | 'nan' | 'zeros';
}

export type RequestType = 'number' | 'integer' | 'boolean' | 'string';

export interface RequestFeatureConfig {
  readonly type: RequestType;
  /** Bounds of a number, both inclusive. A call whose value is outside is refused. */
  readonly min?: number;
  readonly max?: number;
  /** Of texts: as `features.categories`. */
  readonly categories?: readonly string[] | CategoriesConfig;
  /** The value of a call that sends none, and of runs; `'nan'` of a number is NaN. Left out: each call must send one. */
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
  /** The first value taken from a user's row of the tensor, from 0. Must be said where the row has several. Default 0. */
  readonly index?: number;
  /** Take so many values, as an array. Left out: one value, not in an array. */
  readonly width?: number;
}

/** How fresh answers must be, and what is served when none is. */
export interface FreshnessConfig {
  /** A stored prediction older than this is expired. Longer than the time between two runs. Default: never expires. */
  readonly maxAge?: Duration;
  /** Whether a read may run the model for a user without a fresh stored prediction. Default true. */
  readonly live?: boolean;
  /** How long a read waits for live inference, at most `30s`. Default `50ms`. */
  readonly liveTimeout?: Duration;
  /**
   * What is served when there is no fresh answer and live inference gives none (failed, too late, overloaded, or
   * switched off): `stale` the stored prediction, said to be stale, then the default; `default` the default at once;
   * `error` 503. Default `stale`.
   */
  readonly onLiveFailure?: 'stale' | 'default' | 'error';
  /** Whether a stored prediction may be served, said to be stale, while the database does not answer. Default true. */
  readonly unverified?: boolean;
  /** The prediction served when there is no other: a finite value for each output, and no other field. */
  readonly default?: Readonly<Record<string, DefaultValue>>;
  /**
   * Types of the events that make a user's stored prediction stale; `*` stands for any characters. `[]`: none does.
   * Default `['*']`.
   */
  readonly events?: readonly string[];
  /**
   * Re-scores users whom events made stale, before a read asks: `{ within: '2s' }`, from `1s` to `10m`, by when, and how often
   * a user is re-scored at most. A worker spends a share of its inference on it (`REFRESH_SHARE`). `false`: the next read
   * infers. Default `{ within: '2s' }`.
   */
  readonly refresh?: false | { readonly within: Duration };
}

export type DefaultValue = number | string | boolean | readonly (number | string | boolean)[];

/** When and how users are scored ahead of time. */
export interface BatchConfig {
  /**
   * When everyone is scored: a cron expression of five fields, in UTC: `0 2 * * *` is 02:00 every night. With
   * `{ everyone: '0 3 * * 0', changed: '0 * * * *' }` everyone is scored at the first, and at the second the users whose
   * context has changed since they were scored. Default: on demand only.
   */
  readonly schedule?: string | ScheduleConfig;
  /**
   * What a scheduled run may cost: `{ share: 0.25 }` of the users, or `{ cpuMinutes: 30 }` of CPU time of workers. It scores
   * users who changed, the most read first, then the others who are most likely to be read; the rest stay on the predictions they
   * have. If there is a `changed` schedule, it limits only its runs, which then score users who did not change too. Default: no limit.
   */
  readonly budget?: BudgetConfig;
  /** Users a chunk at most: the unit of work, of retry and of memory. 1 to 50,000, default 10,000. Fewer where they take long. */
  readonly chunkSize?: number;
  /** The least share of users that must have been scored for a run to be published, 0 to 1. Default 0.9. */
  readonly minCoverage?: number;
  /**
   * How long the feature query may take to list its users when a run is planned; `1s` to `24h`. A run whose query takes
   * longer fails. Default `30m`.
   */
  readonly planTimeout?: Duration;
}

/** Two schedules, each as `batch.schedule`. At a moment that both name, everyone is scored. */
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
