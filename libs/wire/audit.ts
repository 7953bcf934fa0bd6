/** The audit: changes of pointers and keys. */
import { z } from 'zod';
import { nextOf } from './page.ts';

export const AuditPageSchema = z
  .strictObject({
    rows: z.array(
      z
        .strictObject({
          number: z.string(),
          at: z.iso.datetime(),
          actor: z.string().meta({ description: '`key:<name>`, `api`, `cli`, `analysis`, …' }),
          action: z.string(),
          predictor: z.string().nullable(),
          detail: z.record(z.string(), z.unknown()),
        })
        .meta({ id: 'AuditRow', description: 'A change of a pointer or key: actor, time, action and detail' }),
    ),
    next: nextOf(z.string()),
  })
  .meta({ id: 'ListAuditAnswer' });

export const AUDIT_EXAMPLE = {
  rows: [
    {
      number: '42',
      at: '2026-11-24T02:10:00.120Z',
      actor: 'analysis',
      action: 'advance_rollout',
      predictor: 'repurchase',
      detail: { rollout: 3, reason: 'no guardrail shows the candidate worse than stable by more than its margin' },
    },
  ],
  next: null,
};
