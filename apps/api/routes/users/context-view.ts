/** A user's context as the wire has it: the version, and what events left in it. */
import { z } from '@hono/zod-openapi';
import type { ContextFeatures, ContextValue } from '@tandem/freshness/features';

/** Port: the contexts in Postgres. */
export interface UserContexts {
  /** `updatedAt` is null for a user without a context. */
  find(userId: string): Promise<{ readonly features: ContextFeatures; readonly updatedAt: Date | null }>;
}

export const EventValueSchema = z
  .strictObject({
    value: z.unknown(),
    acceptedAt: z.iso.datetime().meta({ description: "On the database's clock" }),
    time: z.iso.datetime().meta({ description: 'When it happened, by the sender' }),
    source: z.string(),
    id: z.string(),
  })
  .meta({ id: 'EventValue' });

type EventValueView = z.output<typeof EventValueSchema>;

export function eventValueView({ value, accepted, time, source, id }: ContextValue): EventValueView {
  return { value, acceptedAt: new Date(accepted).toISOString(), time: new Date(time).toISOString(), source, id };
}
