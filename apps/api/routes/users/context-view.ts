/** A user's context in the wire format: its version and the values of events. */
import type { ContextFeatures, ContextValue } from '@tandem/freshness/features';
import type { EventValueView } from '@tandem/wire/users';

/** Port: reads the contexts in Postgres. */
export interface UserContexts {
  /** Finds the context of a user. `updatedAt` is null for a user without a context. */
  find(userId: string): Promise<{ readonly features: ContextFeatures; readonly updatedAt: Date | null }>;
}

export function eventValueView({ value, accepted, time, source, id }: ContextValue): EventValueView {
  return { value, acceptedAt: new Date(accepted).toISOString(), time: new Date(time).toISOString(), source, id };
}
