/** Calls for rollouts: start another model version beside the stable one, and move the rollout. */

import { armOfBucket, bucketOfUser } from '@tandem/freshness/assignment';
import { type CallOptions, methodsOf, pagePath, type Transport } from '@tandem/transport/transport';
import type {
  ArmOverrides,
  OverriddenUser as ArmOverrideView,
  CanaryPlanInput,
  ListRolloutChecksAnswer,
  RolloutCheck,
  RolloutPlanInput as RolloutInput,
  ListRolloutsAnswer as RolloutPage,
  RolloutReport,
  Rollout as RolloutView,
  ShadowReport,
  StartedRollout,
} from './wire-types.ts';

export type {
  ListRolloutsAnswer as RolloutPage,
  OverriddenUser as ArmOverrideView,
  Rollout as RolloutView,
  RolloutPlanInput as RolloutInput,
} from './wire-types.ts';

// Parts of answers and requests with a name.

export type OutcomeComparisonView = RolloutReport['outcomes'][number];
export type MeanView = OutcomeComparisonView['stable'];
export type EstimateView = NonNullable<OutcomeComparisonView['difference']>;
export type ShadowComparisons = ShadowReport['everybody'];
export type ShadowMover = ShadowReport['movers'][number];
export type ShadowedCandidate = ShadowReport['candidate'];
export type RolloutState = RolloutView['state'];
/** How a rollout is judged; omitted settings have the service's defaults. */
export type AnalysisInput = NonNullable<CanaryPlanInput['analysis']>;

/**
 * Returns the arm that serves a user by bucket, as every process of the service computes it. It ignores overrides of
 * single users.
 */
export function variantOf({ salt, arms, state }: RolloutView, userId: string): string {
  const isServed = state === 'running' || state === 'held';
  return (isServed && armOfBucket(arms, bucketOfUser(salt, userId))?.variant) || 'stable';
}

export type RolloutMove = 'advance' | 'hold' | 'resume' | 'promote' | 'abort' | 'end';

export interface MoveOptions extends CallOptions {
  /** The reason, for the audit. */
  readonly reason?: string;
  /** For `promote`: the arm that becomes the stable arm; default: `candidate`. */
  readonly variant?: string;
}

export interface RolloutCalls {
  start(predictor: string, rollout: RolloutInput, options?: CallOptions): Promise<StartedRollout>;
  list(
    query?: { readonly predictor?: string; readonly limit?: number; readonly before?: string },
    options?: CallOptions,
  ): Promise<RolloutPage>;
  find(id: string, options?: CallOptions): Promise<RolloutView>;
  move(id: string, move: RolloutMove, options?: MoveOptions): Promise<RolloutView>;
  /** Returns figures, verdict and outcomes of a canary or an A/B test, now. */
  report(id: string, options?: CallOptions): Promise<RolloutReport>;
  /** Returns the comparison of a shadow's answers with the served answers. */
  shadowReport(id: string, options?: CallOptions): Promise<ShadowReport>;
  /** Returns a page of the looks of the analysis, newest first. */
  checks(id: string, limit?: number, options?: CallOptions): Promise<readonly RolloutCheck[]>;
  overrides(id: string, options?: CallOptions): Promise<readonly ArmOverrideView[]>;
  /**
   * Assigns a user to an arm.
   * @param variant the arm; null lets the user's bucket decide again
   */
  override(
    id: string,
    userId: string,
    variant: string | null,
    options?: CallOptions,
  ): Promise<readonly ArmOverrideView[]>;
}

export function rolloutCalls(transport: Transport): RolloutCalls {
  const { get, post, put, remove } = methodsOf(transport);
  const pathOf = (id: string) => `/v1/rollouts/${encodeURIComponent(id)}`;
  return {
    start: (predictor, body, call) => post(`/v1/predictors/${encodeURIComponent(predictor)}/rollouts`, call, body),
    list: (query = {}, call) => get(pagePath('/v1/rollouts', { ...query }), call),
    find: (id, call) => get(pathOf(id), call),
    move: (id, move, { reason, variant, ...call } = {}) => {
      const body = { ...(reason === undefined ? {} : { reason }), ...(variant === undefined ? {} : { variant }) };
      return post(`${pathOf(id)}/${move}`, call, body);
    },
    report: (id, call) => get(`${pathOf(id)}/report`, call),
    shadowReport: (id, call) => get(`${pathOf(id)}/shadow-report`, call),
    checks: async (id, limit, call) =>
      (await get<ListRolloutChecksAnswer>(pagePath(`${pathOf(id)}/checks`, { limit }), call)).checks,
    overrides: async (id, call) => (await get<ArmOverrides>(`${pathOf(id)}/overrides`, call)).overrides,
    override: async (id, userId, variant, call) => {
      const path = `${pathOf(id)}/overrides/${encodeURIComponent(userId)}`;
      const changed = variant === null ? remove<ArmOverrides>(path, call) : put<ArmOverrides>(path, call, { variant });
      return (await changed).overrides;
    },
  };
}
