/**
 * Remembers users with a recent failure of the feature query. A statement leaves them out, and each is read alone after
 * it. So a client that keeps reading such a user does not make the statement of other users fail and be halved.
 */
import type { Flight } from './live-flights.ts';

const REMEMBERED_MS = 60_000;
const MAX_USERS = 1_000;
/** The maximum number of suspects that are read alone after one statement. Further suspects stay in the statement. */
const MAX_APART = 16;

export type Suspects = ReturnType<typeof createSuspects>;

export function createSuspects(now: () => number = () => performance.now()) {
  /** User id → the time at which the user stops being a suspect, in the order of the failures. */
  const until = new Map<string, number>();

  return {
    /** Returns the parts to read: first the flights of all other users, then each suspect. */
    apart(flights: readonly Flight[]): (readonly Flight[])[] {
      if (until.size === 0) return [flights];
      const suspects = flights.filter(({ userId }) => (until.get(userId) ?? 0) > now()).slice(0, MAX_APART);
      const others = flights.filter((flight) => !suspects.includes(flight));
      return [others, ...suspects.map((flight) => [flight])].filter((part) => part.length > 0);
    },
    failed(userId: string): void {
      until.delete(userId);
      if (until.size >= MAX_USERS) until.delete(until.keys().next().value ?? '');
      until.set(userId, now() + REMEMBERED_MS);
    },
    succeeded(flights: readonly Flight[]): void {
      if (until.size === 0) return;
      for (const { userId } of flights) until.delete(userId);
    },
  };
}
