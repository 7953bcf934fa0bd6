/** Calls for kept explanations, and for replays. */

import type { CallOptions } from '@tandem/transport/transport';
import { methodsOf, pagePath, type Transport } from '@tandem/transport/transport';
import type { KeptExplanation, KeptPage, Replay } from './wire.ts';

export type { KeptExplanation, KeptFeature, KeptInputs, KeptPage, Replay } from './wire.ts';

export interface KeptQuery {
  readonly predictor?: string;
  readonly userId?: string;
  readonly limit?: number;
  readonly before?: string;
}

export interface ExplanationCalls {
  /** Returns a page of kept explanations, newest first. */
  list(query?: KeptQuery, options?: CallOptions): Promise<KeptPage>;
  find(id: string, options?: CallOptions): Promise<KeptExplanation>;
  /** Reads a user like a plain read, and keeps the answer even if the user is not sampled. */
  keep(predictor: string, userId: string, options?: CallOptions): Promise<KeptExplanation>;
  /** Computes a kept answer again from its inputs. */
  replay(id: string, options?: CallOptions): Promise<Replay>;
}

export function explanationCalls(transport: Transport): ExplanationCalls {
  const { get, post } = methodsOf(transport);
  const pathOf = (id: string) => `/v1/explanations/${encodeURIComponent(id)}`;
  return {
    list: (query = {}, call) => get(pagePath('/v1/explanations', { ...query }), call),
    find: (id, call) => get(pathOf(id), call),
    keep: (predictor, userId, call) =>
      post(`/v1/users/${encodeURIComponent(userId)}/explanations/${encodeURIComponent(predictor)}`, call),
    replay: (id, call) => post(`${pathOf(id)}/replay`, call),
  };
}
