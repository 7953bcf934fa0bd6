/** What goes over the wire, as the service's OpenAPI document describes it. Moments are ISO 8601 in UTC. */

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
  readonly modelVersion: string;
  readonly generation: string | null;
  readonly usersExpected: number;
  readonly usersScored: number;
  readonly usersFailed: number;
  readonly chunkCount: number;
  readonly chunksCommitted: number;
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
}
export interface GenerationView {
  readonly generation: string;
  readonly inForce: boolean;
  readonly modelVersion: string;
}
export interface Rollback {
  readonly from: GenerationView | null;
  readonly to: GenerationView;
}
export interface UserView {
  readonly userId: string;
}
export interface Explanation {
  readonly userId: string;
}
