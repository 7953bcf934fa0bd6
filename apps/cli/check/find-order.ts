/**
 * Searches for an order of feature columns with which a model returns the expected scores. It searches twice: from the
 * columns as they are, and from the columns sorted by name. Each search repeatedly makes the exchange of two columns
 * that helps most. A found order fits all users; the search may also give up.
 */

import { type FeatureBatch, scorableRows } from '@tandem/freshness/features';
import { pickRows } from '@tandem/inference/admission/trial-users';

const USERS_TRIED = 64;
const SEARCH_MS = 5_000;
/** The least number of users: fewer could fit a wrong order by chance. */
const LEAST_USERS = 4;

/**
 * Returns the names of the columns in the found order, or null.
 * @param misfit returns the misfit of the model's answers for these features; 0 if all are as expected
 */
export async function findOrder(
  batch: FeatureBatch,
  misfit: (batch: FeatureBatch) => Promise<number>,
): Promise<readonly string[] | null> {
  const places = movable(batch);
  const rows = scorableRows(batch).slice(0, USERS_TRIED);
  if (places.length < 2 || rows.length < LEAST_USERS) return null;
  const users = pickRows(batch, rows);
  const deadline = performance.now() + SEARCH_MS;
  const judge = (order: readonly number[]) => misfit(reordered(users, order));
  const asIs = batch.columns.map((_, i) => i);
  for (const start of [asIs, byName(batch, places)]) {
    const found = await descend(start, places, judge, deadline);
    if (found.misfit === 0) return found.order.map((place) => batch.columns[place]?.name ?? '');
  }
  return null;
}

/** Returns the columns of numbers. Texts and categories do not fill exactly one value of an input. */
function movable({ columns }: FeatureBatch): number[] {
  return columns.flatMap(({ kind, categories }, i) => (kind === 'string' || categories ? [] : [i]));
}

function byName({ columns }: FeatureBatch, places: readonly number[]): number[] {
  const name = (place: number) => columns[place]?.name ?? '';
  const sorted = [...places].sort((a, b) => (name(a) < name(b) ? -1 : 1));
  return columns.map((_, i) => sorted[places.indexOf(i)] ?? i);
}

/** Repeats the best exchange of two columns while it helps. */
async function descend(
  start: readonly number[],
  places: readonly number[],
  judge: (order: readonly number[]) => Promise<number>,
  deadline: number,
): Promise<{ order: number[]; misfit: number }> {
  let best = { order: [...start], misfit: await judge(start) };
  for (;;) {
    const before = best;
    for (const [one, other] of pairs(places)) {
      if (best.misfit === 0 || performance.now() > deadline) return best;
      const order = exchanged(before.order, one, other);
      const tried = await judge(order);
      if (tried < best.misfit) best = { order, misfit: tried };
    }
    if (best === before) return best;
  }
}

function* pairs(places: readonly number[]): Generator<readonly [number, number]> {
  for (const [i, one] of places.entries()) for (const other of places.slice(i + 1)) yield [one, other];
}

function exchanged(order: readonly number[], one: number, other: number): number[] {
  return order.map((place, i) => (i === one ? (order[other] ?? place) : i === other ? (order[one] ?? place) : place));
}

function reordered(batch: FeatureBatch, order: readonly number[]): FeatureBatch {
  return { ...batch, values: order.map((place) => batch.values[place] ?? []) };
}
