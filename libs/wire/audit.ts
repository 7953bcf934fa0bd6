/** Who moved what, when and why. */
import { z } from 'zod';

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
        .meta({ id: 'AuditRow', description: 'Who moved what, when and why' }),
    ),
    next: z.string().nullable().meta({ description: 'What `before` is for the next page; null: this was the last' }),
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
      detail: { rollout: 3, reason: 'no guardrail is worse than stable by its margin' },
    },
  ],
  next: null,
};
