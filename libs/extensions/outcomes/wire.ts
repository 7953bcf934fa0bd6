/**
 * Outcomes: what users did after they were served. These schemas only describe the bodies:
 * libs/extensions/outcomes/routes/parse-outcome.ts checks them.
 */
import { OUTCOME_NAME } from '@tandem/wire/parameters';
import { z } from 'zod';

export const MAX_OUTCOMES = 1_000;

const OUTCOME_EXAMPLE = {
  id: 'order-1009',
  source: '/shop/orders',
  userId: '42',
  name: 'order',
  value: 31.5,
  time: '2026-11-24T10:12:00Z',
};

const OutcomeSchema = z
  .strictObject({
    id: z.string().meta({ description: 'Together with `source`, identifies the outcome: a retry sends the same id' }),
    source: z.string().nullish().meta({ description: 'The sender of the outcome; default: `api`' }),
    userId: z.string(),
    name: z.string().regex(OUTCOME_NAME).meta({ description: "Name of an outcome metric of a rollout's plan" }),
    value: z.number().optional().meta({
      description: 'Value that a sum adds; default 1. `null` is rejected, since JSON.stringify turns NaN into it',
    }),
    time: z.iso.datetime({ offset: true }).nullish().meta({
      description: 'When the outcome happened, at most 90 days ago; default: now',
    }),
  })
  .meta({ id: 'Outcome', example: OUTCOME_EXAMPLE });

const OutcomesSchema = z
  .strictObject({ outcomes: z.array(OutcomeSchema) })
  .meta({ id: 'Outcomes', example: { outcomes: [OUTCOME_EXAMPLE] } });

export const OutcomesBodySchema = z.union([OutcomesSchema, OutcomeSchema]);

export const OutcomeResultsSchema = z
  .strictObject({
    results: z.array(
      z
        .strictObject({
          id: z.string(),
          source: z.string(),
          userId: z.string(),
          status: z.enum(['accepted', 'duplicate', 'erased']).meta({
            description: '`erased`: the user is erased, and only the id of the outcome was stored',
          }),
        })
        .meta({ id: 'OutcomeResult' }),
    ),
  })
  .meta({
    id: 'OutcomeResults',
    example: { results: [{ id: 'order-1009', source: '/shop/orders', userId: '42', status: 'accepted' }] },
  });
