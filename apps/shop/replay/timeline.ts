/**
 * The events of the shop on one day, in order: its purchases, and one read of each customer's prediction. The history
 * has only days, so the hours are drawn with the seed.
 */

import { addDays } from '../purchases-after.ts';
import type { Transaction } from '../read-transactions.ts';

type Happening =
  | { readonly kind: 'purchase'; readonly hour: number; readonly transaction: Transaction }
  /** The customers whose predictions one request reads between two purchases, and the hour of each. */
  | { readonly kind: 'reads'; readonly customerIds: readonly string[]; readonly hours: readonly number[] };

/**
 * Returns the events of a day. Hours are shares of the day in [0, 1).
 * @param readsAtOnce the most customers in one request
 */
export function planDay(
  purchases: readonly Transaction[],
  customerIds: readonly string[],
  random: () => number,
  readsAtOnce: number,
): Happening[] {
  const moments = [
    ...purchases.map((transaction) => ({ hour: random(), transaction })),
    ...customerIds.map((customerId) => ({ hour: random(), customerId })),
  ].sort((a, b) => a.hour - b.hour);
  const happenings: Happening[] = [];
  let reading: { hour: number; customerId: string }[] = [];
  const endReads = () => {
    const [customerIds, hours] = [reading.map((one) => one.customerId), reading.map((one) => one.hour)];
    if (reading.length > 0) happenings.push({ kind: 'reads', customerIds, hours });
    reading = [];
  };
  for (const moment of moments) {
    if ('transaction' in moment) {
      endReads();
      happenings.push({ kind: 'purchase', ...moment });
    } else {
      reading.push(moment);
      if (reading.length === readsAtOnce) endReads();
    }
  }
  endReads();
  return happenings;
}

/** Returns the ISO days from the first to the last, both included. */
export function daysBetween(first: string, last: string): string[] {
  const days: string[] = [];
  for (let day = first; day <= last; day = addDays(day, 1)) days.push(day);
  return days;
}
