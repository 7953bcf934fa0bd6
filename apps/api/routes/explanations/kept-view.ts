/** A kept explanation, and the result of its replay, in the wire format. */

import { TandemError } from '@tandem/freshness/errors';
import { isUuid } from '@tandem/freshness/user-id';
import {
  type ExplanationStore,
  isOfSameContext,
  type KeptExplanation,
  type KeptFeature,
} from '@tandem/prediction/explanations/kept-explanation';
import { predictionView } from '@tandem/reading/prediction-view';
import type { KeptExplanationView, ReplayView } from '@tandem/wire/kept-explanations';
import { answerValueView } from '../models/model-view.ts';
import type { Replay } from './replay-kept.ts';

export function keptView({ id, at, keepUntil, answer, inputs }: KeptExplanation): KeptExplanationView {
  const isThere = typeof inputs !== 'string';
  return {
    id,
    at: at.toISOString(),
    keptUntil: keepUntil.toISOString(),
    answer: predictionView(answer),
    history: answer.history,
    inputs: isThere
      ? {
          read: inputs.read,
          readAt: new Date(inputs.readAt).toISOString(),
          contextVersion: inputs.contextVersion,
          ofSameContext: isOfSameContext(answer, inputs),
          features: inputs.features.map(featureView),
          fault: inputs.fault,
        }
      : null,
    noInputs: isThere ? null : inputs,
  };
}

function featureView({ name, value, event, request }: KeptFeature) {
  if (request) return { name, value, from: request === 'sent' ? ('request' as const) : ('default' as const) };
  if (event === null) return { name, value, from: 'row' as const };
  const { source, id, time, accepted } = event;
  const moments = { time: new Date(time).toISOString(), acceptedAt: new Date(accepted).toISOString() };
  return { name, value, from: 'event' as const, event: { source, id, ...moments } };
}

export function replayView({ id, answer }: KeptExplanation, replay: Replay): ReplayView {
  const { prediction: kept } = answer;
  const { verdict, reason } = replay;
  if (replay.verdict === 'refused') {
    return { id, verdict, reason, kept, recomputed: null, tolerance: null, difference: null };
  }
  const { recomputed, tolerance } = replay;
  return { id, verdict, reason, kept, recomputed, tolerance, difference: differenceView(replay) };
}

function differenceView({ difference }: Extract<Replay, { readonly recomputed: unknown }>) {
  if (difference === null) return null;
  const { output, alone, other } = difference;
  // JSON cannot represent infinity.
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  return {
    output,
    kept: answerValueView(alone),
    recomputed: answerValueView(other),
    difference: finite(difference.difference),
    ofAllowed: finite(difference.ofAllowed),
  };
}

/** Finds a kept explanation. Rejects with `unknown_explanation`. */
export async function requireKept(store: Pick<ExplanationStore, 'find'>, id: string): Promise<KeptExplanation> {
  const found = isUuid(id) ? await store.find(id) : undefined;
  if (found) return found;
  throw new TandemError('unknown_explanation', 'No explanation has this id, or it has expired.', {
    field: 'id',
    remedy: 'GET /v1/explanations lists the kept explanations',
  });
}
