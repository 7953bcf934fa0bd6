/** Calls for kept explanations, and for replays. */

import type { CallOptions } from './predictions.ts';
import { answerOf, pagePath, type Transport } from './transport.ts';
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
  const pathOf = (id: string) => `/v1/explanations/${encodeURIComponent(id)}`;
  return {
    list: (query = {}, call) => answerOf(transport, { path: pagePath('/v1/explanations', { ...query }), ...call }),
    find: (id, call) => answerOf(transport, { path: pathOf(id), ...call }),
    keep: (predictor, userId, call) => {
      const path = `/v1/users/${encodeURIComponent(userId)}/explanations/${encodeURIComponent(predictor)}`;
      return answerOf(transport, { method: 'POST', path, ...call });
    },
    replay: (id, call) => answerOf(transport, { method: 'POST', path: `${pathOf(id)}/replay`, ...call }),
  };
}
