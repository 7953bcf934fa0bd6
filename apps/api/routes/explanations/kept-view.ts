/** A kept explanation, and what came of computing it again, as the wire has them. */
import { z } from '@hono/zod-openapi';
import { KEPT_EXPLANATION_EXAMPLE } from '@tandem/client/explanations';
import { TandemError } from '@tandem/freshness/errors';
import {
  type ExplanationStore,
  isOfSameContext,
  type KeptExplanation,
  type KeptFeature,
} from '@tandem/prediction/explanations/kept-explanation';
import { PredictionSchema, predictionView } from '../predictions/prediction-view.ts';
import type { Replay } from './replay-kept.ts';

const scalar = z.union([z.number(), z.string()]).nullable();

const FeatureSchema = z.strictObject({
  name: z.string(),
  value: scalar.meta({ description: 'What the model is given' }),
  from: z.enum(['row', 'event']),
  event: z
    .strictObject({ source: z.string(), id: z.string(), time: z.iso.datetime(), acceptedAt: z.iso.datetime() })
    .optional(),
});

const InputsSchema = z.strictObject({
  read: z.enum(['for_the_answer', 'after_the_reply']).meta({
    description: 'By the inference whose answer it is; or, of an answer that was stored, right after the reply',
  }),
  readAt: z.iso.datetime(),
  contextVersion: z.int(),
  ofSameContext: z.boolean().meta({
    description: 'Whether the answer was computed from that context: only then can it be expected again',
  }),
  features: z.array(FeatureSchema),
  fault: z.string().nullable().meta({ description: 'Why the user cannot be scored from them' }),
});

export const KeptExplanationSchema = z
  .strictObject({
    id: z.uuid(),
    at: z.iso.datetime().meta({ description: "When it was answered, on the database's clock" }),
    keptUntil: z.iso.datetime(),
    answer: PredictionSchema,
    history: z.string().nullable().meta({ description: 'Null where the database did not answer' }),
    inputs: InputsSchema.nullable(),
    noInputs: z
      .enum(['no_row', 'not_read'])
      .nullable()
      .meta({ description: 'Why there are none: the feature source had no row of the user, or did not answer' }),
  })
  .meta({ id: 'KeptExplanation' });

type KeptExplanationView = z.output<typeof KeptExplanationSchema>;

export function keptView({ id, at, keepUntil, answer, inputs }: KeptExplanation): KeptExplanationView {
  const isThere = typeof inputs !== 'string';
  return {
    id,
    at: at.toISOString(),
    keptUntil: keepUntil.toISOString(),
    answer: predictionView(answer) as KeptExplanationView['answer'],
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

function featureView({ name, value, event }: KeptFeature) {
  if (event === null) return { name, value, from: 'row' as const };
  const { source, id, time, accepted } = event;
  const moments = { time: new Date(time).toISOString(), acceptedAt: new Date(accepted).toISOString() };
  return { name, value, from: 'event' as const, event: { source, id, ...moments } };
}

export const ReplaySchema = z
  .strictObject({
    id: z.uuid(),
    verdict: z.enum(['agrees', 'differs', 'inputs_changed', 'refused']),
    reason: z.string(),
    kept: PredictionSchema.shape.prediction,
    recomputed: PredictionSchema.shape.prediction.nullable(),
    tolerance: z.number().nullable().meta({ description: "Relative, of the model version's certificate" }),
    difference: z
      .strictObject({
        output: z.string(),
        kept: z.union([z.number(), z.string(), z.boolean()]),
        recomputed: z.union([z.number(), z.string(), z.boolean()]),
        difference: z.number().nullable().meta({ description: 'Absolute; null of values that are no floats' }),
        ofAllowed: z.number().nullable().meta({ description: 'Of what is allowed there; null as `difference`' }),
      })
      .nullable()
      .meta({ description: 'The one furthest from being allowed; null: equal to the last bit, or not computed' }),
  })
  .meta({ id: 'Replay' });

export function replayView({ id, answer }: KeptExplanation, replay: Replay): z.output<typeof ReplaySchema> {
  const kept = answer.prediction as z.output<typeof ReplaySchema>['kept'];
  const { verdict, reason } = replay;
  if (replay.verdict === 'refused') {
    return { id, verdict, reason, kept, recomputed: null, tolerance: null, difference: null };
  }
  const recomputed = replay.recomputed as typeof kept;
  return { id, verdict, reason, kept, recomputed, tolerance: replay.tolerance, difference: differenceView(replay) };
}

function differenceView({ difference }: Extract<Replay, { readonly recomputed: unknown }>) {
  if (difference === null) return null;
  const { output, alone, other } = difference;
  // No JSON number says what is infinite.
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  return {
    output,
    kept: typeof alone === 'bigint' ? String(alone) : alone,
    recomputed: typeof other === 'bigint' ? String(other) : other,
    difference: finite(difference.difference),
    ofAllowed: finite(difference.ofAllowed),
  };
}

export const explanationIdParameter = z
  .uuid()
  .meta({ param: { name: 'id', in: 'path' }, example: KEPT_EXPLANATION_EXAMPLE.id });

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Rejects with `unknown_explanation`. */
export async function requireKept(store: Pick<ExplanationStore, 'find'>, id: string): Promise<KeptExplanation> {
  const found = UUID.test(id) ? await store.find(id) : undefined;
  if (found) return found;
  throw new TandemError('unknown_explanation', 'There is no kept explanation of this id, or none any more.', {
    field: 'id',
    remedy: 'GET /v1/explanations lists those that are kept',
  });
}
