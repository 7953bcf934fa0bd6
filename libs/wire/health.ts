/** Health checks: whether the process answers, and whether it accepts requests. */
import { z } from 'zod';

export const LiveSchema = z.strictObject({ status: z.literal('live') });

export const ReadinessSchema = z
  .strictObject({
    status: z.enum(['ready', 'degraded', 'not_ready']),
    parts: z.array(z.strictObject({ name: z.string(), status: z.enum(['ok', 'failed', 'draining']) })),
  })
  .meta({ id: 'Readiness' });
