/** Answers that were kept with what they were made of, as the service tells them, and what came of computing one again. */

import type { CallOptions } from './predictions.ts';
import { answerOf, pagePath, type Transport } from './transport.ts';
import type { PredictionAnswer } from './wire.ts';
import { PREDICTION_EXAMPLE } from './wire-examples.ts';

export interface KeptFeature {
  readonly name: string;
  readonly value: number | string | null;
  readonly from: 'row' | 'event';
  readonly event?: {
    readonly source: string;
    readonly id: string;
    readonly time: string;
    readonly acceptedAt: string;
  };
}

export interface KeptInputs {
  /** By the inference whose answer it is; or, of an answer that was stored, right after the reply. */
  readonly read: 'for_the_answer' | 'after_the_reply';
  readonly readAt: string;
  readonly contextVersion: number;
  /** Whether the answer was computed from that context: only then can it be expected again. */
  readonly ofSameContext: boolean;
  readonly features: readonly KeptFeature[];
  /** Why the user cannot be scored from them; null: they can be. */
  readonly fault: string | null;
}

export interface KeptExplanation {
  readonly id: string;
  readonly at: string;
  readonly keptUntil: string;
  readonly answer: PredictionAnswer;
  readonly history: string | null;
  readonly inputs: KeptInputs | null;
  /** Why there are none. */
  readonly noInputs: 'no_row' | 'not_read' | null;
}

export interface Replay {
  readonly id: string;
  readonly verdict: 'agrees' | 'differs' | 'inputs_changed' | 'refused';
  readonly reason: string;
  readonly kept: PredictionAnswer['prediction'];
  /** Null where it is refused. */
  readonly recomputed: PredictionAnswer['prediction'] | null;
  readonly tolerance: number | null;
  /** Null: equal to the last bit, or refused. */
  readonly difference: {
    readonly output: string;
    readonly kept: number | string | boolean;
    readonly recomputed: number | string | boolean;
    /** Both null of values that are no floats. */
    readonly difference: number | null;
    readonly ofAllowed: number | null;
  } | null;
}

export interface KeptQuery {
  readonly predictor?: string;
  readonly userId?: string;
  readonly limit?: number;
  readonly before?: string;
}

export interface KeptPage {
  readonly explanations: readonly KeptExplanation[];
  /** What `before` is for the next page; null: this was the last. */
  readonly next: string | null;
}

export interface ExplanationCalls {
  /** Newest first. */
  list(query?: KeptQuery, options?: CallOptions): Promise<KeptPage>;
  find(id: string, options?: CallOptions): Promise<KeptExplanation>;
  /** Answers a user as a plain read does, and keeps that answer, whether or not the user is among those who are sampled. */
  keep(predictor: string, userId: string, options?: CallOptions): Promise<KeptExplanation>;
  /** Computes the answer again from the inputs that were kept. */
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

/** For the description of the API, and for tests of what shows it. */
export const KEPT_EXPLANATION_EXAMPLE = {
  id: '5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  at: '2026-11-24T10:50:53.250Z',
  keptUntil: '2026-12-24T10:50:53.250Z',
  answer: {
    ...PREDICTION_EXAMPLE,
    ...{ source: 'live', reason: 'context_newer', generation: null, computedAt: '2026-11-24T10:50:53.244Z' },
    ...{ ageSeconds: 0, contextVersion: 6, lastConcerningVersion: 6, predictedFromContextVersion: 6 },
  },
  history: '9f2c4a1be07d3358',
  inputs: {
    read: 'for_the_answer',
    readAt: '2026-11-24T10:50:53.244Z',
    contextVersion: 6,
    ofSameContext: true,
    features: [
      { name: 'recency', value: 12, from: 'row' },
      {
        name: 'orders',
        value: 4,
        from: 'event',
        event: {
          ...{ source: '/shop/orders', id: 'order-1009' },
          ...{ time: '2026-11-24T10:12:00.000Z', acceptedAt: '2026-11-24T10:12:00.480Z' },
        },
      },
    ],
    fault: null,
  },
  noInputs: null,
} satisfies KeptExplanation;

export const REPLAY_EXAMPLE = {
  id: KEPT_EXPLANATION_EXAMPLE.id,
  verdict: 'agrees',
  reason: 'equal to the last bit',
  kept: PREDICTION_EXAMPLE.prediction,
  recomputed: PREDICTION_EXAMPLE.prediction,
  tolerance: 0.00001,
  difference: null,
} satisfies Replay;
