/** Reads purchases after a day, which are in the history but must not be used by a model. */
import type { Transaction } from './read-transactions.ts';

/** The horizon in days: the models predict a purchase within four weeks. */
export const horizonDays = 28;

/** Returns whether a customer bought within the horizon after a day. */
export function indexPurchases(history: readonly Transaction[]): (customerId: string, day: string) => boolean {
  const daysOf = new Map<string, string[]>();
  for (const { customerId, day } of history) daysOf.set(customerId, [...(daysOf.get(customerId) ?? []), day]);
  return (customerId, day) => {
    const end = addDays(day, horizonDays);
    return (daysOf.get(customerId) ?? []).some((bought) => bought > day && bought <= end);
  };
}

/** Returns the ISO day that is the given number of days later. */
export function addDays(day: string, count: number): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + count);
  return date.toISOString().slice(0, 10);
}
