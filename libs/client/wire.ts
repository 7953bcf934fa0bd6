/** What goes over the wire, as the service's OpenAPI document describes it. Moments are ISO 8601 in UTC. */
import type { Problem } from './client-errors.ts';

export type PredictionValue = number | string | boolean | readonly (number | string | boolean)[];

/** Where an answer comes from: stored by a run; inferred live; not known to be fresh; the declared default. */
export type Source = 'batch' | 'live' | 'stale' | 'default';

export interface PredictionAnswer {
  readonly predictor: string;
  readonly userId: string;
  readonly prediction: Readonly<Record<string, PredictionValue>>;
  readonly source: Source;
  readonly reason: string;
  readonly modelVersion: string;
  readonly variant: string;
  readonly generation: string | null;
  /** Null for a default: nothing was computed. */
  readonly computedAt: string | null;
  readonly ageSeconds: number | null;
  /** Null where Postgres, which alone knows it, did not answer. */
  readonly contextVersion: number | null;
  /** The last of these that concerns this predictor: a prediction from an older one is not fresh. Null as `contextVersion`. */
  readonly lastConcerningVersion: number | null;
  readonly predictedFromContextVersion: number | null;
}

/** A CloudEvent as an application sends it; what is left out, the client fills in. */
export interface EventInput {
  /** The user. */
  readonly subject: string;
  readonly type: string;
  /** Who says so; with `id` it names the event for ever. */
  readonly source?: string;
  readonly id?: string;
  readonly time?: string;
  /** Feature values by name; left out, the event says only that the user changed. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface EventResult {
  readonly id: string;
  readonly source: string;
  readonly status: 'accepted' | 'duplicate' | 'erased';
  readonly userId: string;
  readonly contextVersion: number;
  /** What a read may demand as `minContext`. */
  readonly contextToken: string;
  /** Names in the event's data that no predictor takes, the first ten: misspelt, perhaps. Absent: there is none. */
  readonly ignored?: readonly string[];
}

export type RunScope = 'all' | 'stale' | { readonly userIds: readonly string[] };
export type RunState = 'planned' | 'running' | 'publishing' | 'done' | 'done_with_errors' | 'failed' | 'cancelled';

export interface Run {
  readonly id: string;
  readonly predictor: string;
  readonly scope: 'all' | 'stale' | 'users';
  readonly state: RunState;
  readonly reason: string;
  readonly error: string | null;
  /** Attempts at the current step, planning or publishing; at the last one if the run has ended. */
  readonly attempts: number;
  /** Why the last attempt at that step failed. */
  readonly attemptError: string | null;
  readonly modelVersion: string;
  readonly generation: string | null;
  readonly usersExpected: number;
  readonly usersScored: number;
  readonly usersFailed: number;
  readonly chunkCount: number;
  readonly chunksCommitted: number;
  /** The moment of its schedule, where it was not asked for. */
  readonly scheduledFor: string | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Users that could not be scored, by name: where one run is asked for. */
  readonly failures?: readonly { readonly userId: string; readonly reason: string }[];
}

export function isFinished(state: RunState): boolean {
  return state === 'done' || state === 'done_with_errors' || state === 'failed' || state === 'cancelled';
}

export interface RunPage {
  readonly runs: readonly Run[];
  /** What `before` is for the next page; null: this was the last. */
  readonly next: string | null;
}

export interface PredictorView {
  readonly name: string;
  /** The type of user ids. */
  readonly keyType: 'int8' | 'uuid' | 'text';
  /** The one in force. */
  readonly modelVersion: string | null;
  readonly variant: string | null;
  /** The one in force; null before the first full run of a model version. */
  readonly generation: string | null;
  /** Whether its oldest predictions are older than maxAge, on the database's clock. */
  readonly generationExpired: boolean | null;
  readonly overlayFloor: number | null;
  readonly rolloutRevision: number | null;
  /** Since a rollback: the moment from which the expiry of its generation is counted. */
  readonly expiresFrom: string | null;
  readonly freshness: {
    readonly maxAgeSeconds: number | null;
    readonly live: boolean;
    readonly liveTimeoutMs: number;
    readonly onLiveFailure: 'stale' | 'default' | 'error';
    readonly unverified: boolean;
    readonly default: Readonly<Record<string, PredictionValue>> | null;
    readonly events: readonly string[];
  };
  readonly batch: { readonly schedule: string | null; readonly chunkSize: number; readonly minCoverage: number };
}

/** A model version: artifact, feature query, inputs and outputs, immutable together. */
export interface GenerationView {
  /** Its number. */
  readonly generation: string;
  readonly predictor: string;
  readonly state: 'building' | 'published' | 'dropped';
  readonly inForce: boolean;
  /** Whether its model version was ever stable; false for a version that a rollout tried and rolled back. */
  readonly wasStable: boolean;
  /** Whether the stable arm ever served this generation. */
  readonly servedStable: boolean;
  readonly modelVersion: string;
  readonly users: number;
  readonly runId: string;
  readonly startedAt: string;
  readonly publishedAt: string | null;
}

/** A period in which the stable arm of a predictor served one model version. */
export interface StableVersionView {
  readonly modelVersion: string;
  readonly since: string;
  /** Null: it is stable now. */
  readonly until: string | null;
  /** The kept generation that a rollback to this version returns to; null: none is kept. */
  readonly generation: string | null;
}

export interface Rollback {
  /** The generation that was in force. */
  readonly from: GenerationView | null;
  readonly to: GenerationView;
}

/** What an event left in a user's context for one feature. */
export interface EventValue {
  readonly value: unknown;
  /** On the database's clock. */
  readonly acceptedAt: string;
  /** When it happened, by the sender. */
  readonly time: string;
  readonly source: string;
  readonly id: string;
}

/** A stored prediction of a user, and what the freshness rule says of it now. */
export interface Candidate {
  readonly store: 'redis' | 'postgres';
  readonly layer: 'generation' | 'overlay';
  readonly source: 'batch' | 'live';
  readonly state: 'fresh' | 'restarted' | 'stale' | 'expired' | 'foreign' | 'blocked';
  readonly prediction: Readonly<Record<string, PredictionValue>> | null;
  readonly modelVersion: string | null;
  /** Null where it is not the one in force. */
  readonly generation: string | null;
  readonly history: string | null;
  readonly overlayFloor: number | null;
  readonly predictedFromContextVersion: number;
  readonly computedAt: string;
  readonly ageSeconds: number;
}

/** A store that did not answer is `failed`: it may hold more. */
export interface StoreStates {
  readonly redis: 'ok' | 'failed';
  readonly postgres: 'ok' | 'failed';
}

export interface UserView {
  readonly userId: string;
  readonly history: string;
  readonly contextVersion: number;
  readonly updatedAt: string | null;
  /** Feature name → what an event said last. */
  readonly context: Readonly<Record<string, EventValue>>;
  readonly predictors: readonly {
    readonly predictor: string;
    readonly lastConcerningVersion: number;
    readonly stores: StoreStates;
    readonly candidates: readonly Candidate[];
  }[];
}

/** That a user was erased, and what was found and deleted. */
export interface ErasureReceipt {
  readonly userId: string;
  /** Of the tombstone, on the database's clock. */
  readonly erasedAt: string;
  /** Of the tombstone: nothing computed from it or before is served. */
  readonly contextVersion: number;
  readonly contextToken: string;
  readonly deleted: {
    readonly postgres: {
      readonly contextValues: number;
      readonly events: number;
      readonly predictions: number;
      readonly overlayEntries: number;
      readonly runFailures: number;
      readonly outcomes: number;
      readonly exposures: number;
      readonly keptExplanations: number;
    };
    readonly redis: { readonly predictions: number; readonly overlayEntries: number };
  };
}

/** A live process, and the model versions that it keeps loaded. */
export interface ProcessView {
  readonly id: string;
  readonly kind: 'api' | 'worker';
  readonly host: string;
  readonly pid: number;
  readonly release: string;
  readonly startedAt: string;
  /** When it was heard of last, on the database's clock. */
  readonly seenAt: string;
  readonly models: readonly {
    readonly predictor: string;
    readonly modelVersion: string;
    readonly state: 'loading' | 'ready' | 'failed';
    /** Why it failed. */
    readonly error: string | null;
    readonly since: string;
  }[];
}

export interface Readmission {
  readonly userId: string;
  readonly status: 'readmitted' | 'not_erased';
  readonly contextVersion: number;
  readonly contextToken: string;
}

export interface ExplainedFeature {
  readonly name: string;
  /** What a model is given. */
  readonly value: number | string | null;
  readonly from: 'row' | 'event';
  /** The feature source's value, where an event's lies over it. */
  readonly rowValue?: number | string | null;
  readonly event?: Omit<EventValue, 'value'>;
}

/** Why a user is answered as it is, now. */
export interface Explanation {
  readonly userId: string;
  readonly predictor: string;
  /** On the database's clock. */
  readonly at: string;
  readonly history: string;
  readonly user: {
    readonly contextVersion: number;
    /** A prediction from an older context is not fresh. */
    readonly lastConcerningVersion: number;
    readonly deletedVersion: number;
  };
  readonly assignment: {
    readonly modelVersion: string;
    readonly variant: string;
    readonly generation: string | null;
    readonly overlayFloor: number;
    readonly rolloutRevision: number;
    readonly expiresFrom: string | null;
  };
  readonly stores: StoreStates;
  readonly candidates: readonly Candidate[];
  /** Empty where the feature source has no row of the user, or could not be read. */
  readonly features: readonly ExplainedFeature[];
  /** Why the user cannot be scored. */
  readonly featureFault: string | null;
  readonly featureProblem: Problem | null;
  /** What a read answers. */
  readonly answer: PredictionAnswer | null;
  readonly answerProblem: Problem | null;
  readonly cacheStatus: string | null;
}
