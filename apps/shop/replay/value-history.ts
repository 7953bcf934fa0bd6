/**
 * Writes the last months of the history for `tandem value` (docs/value.md). Each day has the features and one read of
 * every customer. Each purchase is an event with the features after it, followed by a read. The features are those of
 * the shop's view on that day, so this needs only the database. It leaves the shop at the end of the period.
 */
import { createRandom } from '@tandem/experiment/distributions/random';
import type { Pool } from 'pg';
import { resetHistory } from '../load-history.ts';
import { insertPurchase, setToday } from '../purchase.ts';
import { addDays, indexPurchases } from '../purchases-after.ts';
import { readTransactions } from '../read-transactions.ts';
import type { ReplayOptions } from './replay-history.ts';
import { daysBetween, planDay } from './timeline.ts';

const DAY_MS = 86_400_000;
const READS_AT_ONCE = 500;

type Row = Readonly<Record<string, string | number>>;

/** Yields the lines of the file, the head first. */
export async function* valueHistory(
  db: Pool,
  { from, to, seed }: Omit<ReplayOptions, 'speed'>,
): AsyncGenerator<string> {
  const history = await readTransactions();
  const customerIds = [...new Set(history.map(({ customerId }) => customerId))];
  const boughtWithin = indexPurchases(history);
  const random = createRandom(seed);
  await resetHistory(db, addDays(from, -1));
  const features = await featureNames(db);
  yield JSON.stringify({
    ...{ format: 'tandem-value-1', predictor: 'repurchase', features, users: customerIds.length },
    ...{ from: `${from}T00:00:00Z`, to: `${addDays(to, 1)}T00:00:00Z` },
  });
  for (const day of daysBetween(from, to)) {
    await setToday(db, day);
    for (const row of await readFeatures(db)) yield contextLine(row, features, momentOf(day, 0));
    const read = (user: string, hour: number) =>
      JSON.stringify({ user, at: momentOf(day, hour), kind: 'read', outcome: Number(boughtWithin(user, day)) });
    const bought = history.filter((transaction) => transaction.day === day);
    for (const happening of planDay(bought, customerIds, random, READS_AT_ONCE)) {
      if (happening.kind === 'reads') {
        yield* happening.customerIds.map((user, i) => read(user, happening.hours[i] ?? 0));
        continue;
      }
      const { customerId: user } = happening.transaction;
      const at = momentOf(day, happening.hour);
      await insertPurchase(db, happening.transaction);
      yield JSON.stringify({ user, at, kind: 'event' });
      for (const row of await readFeatures(db, user)) yield contextLine(row, features, at);
      yield read(user, happening.hour);
    }
  }
}

function momentOf(day: string, hour: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + Math.floor(hour * DAY_MS)).toISOString();
}

function contextLine(row: Row, features: readonly string[], at: string): string {
  const values = features.map((name) => row[name] ?? null);
  return JSON.stringify({ user: String(row.customer_id), at, kind: 'context', features: values });
}

/** Returns the feature names in the order of the view, which is that of the model. */
async function featureNames(db: Pool): Promise<string[]> {
  const { fields } = await db.query('select * from shop.customer_features limit 0');
  return fields.map(({ name }) => name).filter((name) => name !== 'customer_id');
}

async function readFeatures(db: Pool, customerId: string | null = null): Promise<Row[]> {
  const all = 'select * from shop.customer_features';
  const { rows } =
    customerId === null ? await db.query<Row>(all) : await db.query<Row>(`${all} where customer_id = $1`, [customerId]);
  return rows;
}
