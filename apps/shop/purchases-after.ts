/** Reads purchases after a day, which the history knows and no model may use. */
import type { Transaction } from './read-transactions.ts';

/** Days: the models predict a purchase within four weeks. */
export const horizonDays = 28;

/** Answers whether a customer bought after a day, within the horizon. */
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
