/** Rollouts over the wire: another model version beside the stable one, and what is done to it. */

import { armOfBucket, bucketOfUser } from '@tandem/experiment/assignment';
import type { CallOptions } from './predictions.ts';
import type { RolloutCheck, RolloutReport } from './rollout-report.ts';
import type { ShadowReport } from './shadow-report.ts';
import { answerOf, pagePath, type Transport } from './transport.ts';

export type RolloutState = 'preparing' | 'running' | 'held' | 'promoted' | 'aborted' | 'ended';

export interface RolloutView {
  readonly id: string;
  readonly predictor: string;
  /** Its number, of its predictor. */
  readonly rollout: string;
  readonly kind: 'canary' | 'shadow' | 'ab';
  readonly state: RolloutState;
  /** Why it is in its state; while it is preparing, what it waits for. */
  readonly reason: string;
  /** Of a canary: which of its steps, from 0. */
  readonly step: number;
  /** Of the users, who are served from another arm than the stable one. */
  readonly percent: number;
  readonly stepStartedAt: string | null;
  readonly arms: readonly {
    readonly variant: string;
    readonly modelVersion: string;
    readonly generation: string | null;
    readonly percent: number;
    /** Its users are those of the buckets [firstBucket, endBucket). */
    readonly firstBucket: number;
    readonly endBucket: number;
  }[];
  /** A user's bucket is a hash of it and the id: variantOf. */
  readonly salt: string;
  /** As it was asked for, with every setting that was left out. */
  readonly plan: Readonly<Record<string, unknown>> & {
    readonly steps?: readonly number[];
    readonly atOnce?: boolean;
    readonly analysis?: {
      readonly minStep: string;
      readonly outcomes: readonly { readonly name: string; readonly window: string; readonly guardrail: boolean }[];
    };
  };
  readonly createdBy: string;
  readonly createdAt: string;
  readonly endedAt: string | null;
}

/**
 * The arm that serves a user by their bucket, as every process of the service finds it; whoever was put into an arm by hand
 * is there all the same.
 */
export function variantOf({ salt, arms, state }: RolloutView, userId: string): string {
  const isServed = state === 'running' || state === 'held';
  return (isServed && armOfBucket(arms, bucketOfUser(salt, userId))?.variant) || 'stable';
}

/** How a rollout is judged; what is left out has the service's default. */
export interface AnalysisInput {
  readonly automatic?: boolean;
  readonly dryRun?: boolean;
  readonly interval?: string;
  readonly minStep?: string;
  readonly minUsers?: number;
  readonly alpha?: number;
  readonly errorRate?: number | null;
  readonly slowShare?: number | null;
  readonly slow?: string;
  readonly liveShare?: number | null;
  readonly staleShare?: number | null;
  readonly defaultShare?: number | null;
  /** Durations; null: no deadline. */
  readonly holdDeadline?: string | null;
  readonly preparingDeadline?: string | null;
  readonly onDeadline?: 'alert' | 'roll_back';
  readonly psi?: number | null;
  readonly outcomes?: readonly {
    readonly name: string;
    readonly kind?: 'binary' | 'sum';
    readonly window?: string;
    readonly better?: 'higher' | 'lower';
    readonly guardrail?: boolean;
    readonly minimumEffect?: number;
  }[];
}

export type RolloutInput =
  | {
      readonly kind: 'canary';
      readonly version: string;
      readonly steps?: readonly number[];
      /** Skips steps and analysis; only for a former stable version. */
      readonly atOnce?: boolean;
      readonly coverage?: 'required' | 'live';
      readonly analysis?: AnalysisInput;
    }
  | { readonly kind: 'shadow'; readonly version: string; readonly share?: number; readonly maxPerSecond?: number }
  | {
      readonly kind: 'ab';
      readonly arms: readonly { readonly variant: string; readonly version: string; readonly weight: number }[];
      readonly coverage?: 'required' | 'live';
      readonly analysis?: AnalysisInput;
    };

export interface RolloutPage {
  readonly rollouts: readonly RolloutView[];
  /** What `before` is for the next page; null: this was the last. */
  readonly next: string | null;
}

export type RolloutMove = 'advance' | 'hold' | 'resume' | 'promote' | 'abort' | 'end';

export interface MoveOptions extends CallOptions {
  /** For the audit. */
  readonly reason?: string;
  /** Of `promote`: the arm that becomes the stable one; `candidate` where it is left out. */
  readonly variant?: string;
}

export interface ArmOverrideView {
  readonly userId: string;
  readonly variant: string;
}

export interface RolloutCalls {
  start(predictor: string, rollout: RolloutInput, options?: CallOptions): Promise<RolloutView>;
  list(
    query?: { readonly predictor?: string; readonly limit?: number; readonly before?: string },
    options?: CallOptions,
  ): Promise<RolloutPage>;
  find(id: string, options?: CallOptions): Promise<RolloutView>;
  move(id: string, move: RolloutMove, options?: MoveOptions): Promise<RolloutView>;
  /** Of a canary or an A/B test: figures, verdict and outcomes, now. */
  report(id: string, options?: CallOptions): Promise<RolloutReport>;
  /** Of a shadow: its answers beside those that were served. */
  shadowReport(id: string, options?: CallOptions): Promise<ShadowReport>;
  /** What the analysis found, newest first. */
  checks(id: string, limit?: number, options?: CallOptions): Promise<readonly RolloutCheck[]>;
  overrides(id: string, options?: CallOptions): Promise<readonly ArmOverrideView[]>;
  /** @param variant null: the user is left to their bucket again */
  override(
    id: string,
    userId: string,
    variant: string | null,
    options?: CallOptions,
  ): Promise<readonly ArmOverrideView[]>;
}

export function rolloutCalls(transport: Transport): RolloutCalls {
  const rolloutPath = (id: string) => `/v1/rollouts/${encodeURIComponent(id)}`;
  const overridesOf = async (call: Parameters<typeof answerOf>[1]) =>
    (await answerOf<{ overrides: ArmOverrideView[] }>(transport, call)).overrides;
  return {
    start: (predictor, body, call) =>
      answerOf(transport, {
        method: 'POST',
        path: `/v1/predictors/${encodeURIComponent(predictor)}/rollouts`,
        body,
        ...call,
      }),
    list: (query = {}, call) => answerOf(transport, { path: pagePath('/v1/rollouts', { ...query }), ...call }),
    find: (id, call) => answerOf(transport, { path: rolloutPath(id), ...call }),
    move: (id, move, { reason, variant, ...call } = {}) => {
      const body = { ...(reason === undefined ? {} : { reason }), ...(variant === undefined ? {} : { variant }) };
      return answerOf(transport, { method: 'POST', path: `${rolloutPath(id)}/${move}`, body, ...call });
    },
    report: (id, call) => answerOf(transport, { path: `${rolloutPath(id)}/report`, ...call }),
    shadowReport: (id, call) => answerOf(transport, { path: `${rolloutPath(id)}/shadow-report`, ...call }),
    checks: async (id, limit, call) =>
      (
        await answerOf<{ checks: RolloutCheck[] }>(transport, {
          path: pagePath(`${rolloutPath(id)}/checks`, { limit }),
          ...call,
        })
      ).checks,
    overrides: (id, call) => overridesOf({ path: `${rolloutPath(id)}/overrides`, ...call }),
    override: (id, userId, variant, call) => {
      const path = `${rolloutPath(id)}/overrides/${encodeURIComponent(userId)}`;
      return overridesOf(
        variant === null ? { method: 'DELETE', path, ...call } : { method: 'PUT', path, body: { variant }, ...call },
      );
    },
  };
}
