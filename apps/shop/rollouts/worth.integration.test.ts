/**
 * Measures the versions by the outcomes of their answers, in weeks that no version was trained on. All versions answer
 * for the same customers on the same days, so differences are paired, and intervals are by customer.
 */
import { logLoss } from '@tandem/experiment/estimates/log-loss';
import type { Estimate } from '@tandem/experiment/estimates/user-bootstrap';
import { poolOf, scoresOf } from '@tandem/inference/live/toy-predictor.fixture';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadHistory } from '../load-history.ts';
import { addDays, indexPurchases } from '../purchases-after.ts';
import { readTransactions } from '../read-transactions.ts';
import { meanChange } from '../replay/scorecard.ts';
import { createShopDatabase, type ShopDatabase } from '../shop-database.fixture.ts';
import { columnCountOf, readGolden, shopModel } from '../shop-models.fixture.ts';
import { outcomesOf } from './outcomes.ts';
import { readQuery } from './versions.ts';

/** One day in every second week, from New Year to the last day with four weeks of purchases after it. */
const days = Array.from({ length: 11 }, (_, fortnight) => addDays('1998-01-01', 14 * fortnight));
const compared = ['repurchase', 'fourteen', 'balanced', 'network', 'network-int8'];

interface Answer {
  readonly customerId: string;
  readonly bought: boolean;
  /** Scores by model. */
  readonly scores: Readonly<Record<string, number>>;
}

let database: ShopDatabase;
let answers: readonly Answer[];
beforeAll(async () => {
  database = await createShopDatabase();
  await loadHistory(database.pool, { until: '1998-06-30' });
  answers = await answerAll();
}, 120_000);
afterAll(() => database.close());

async function answerAll(): Promise<readonly Answer[]> {
  const { names } = await readGolden();
  const sql = await readQuery({ name: 'fourteen', note: '', query: 'fourteen.sql' });
  const boughtWithin = indexPurchases(await readTransactions());
  const models = await Promise.all(compared.map((name) => shopModel(name, names)));
  const pool = poolOf(models, { processes: 1 });
  const all: Answer[] = [];
  for (const day of days) {
    await database.pool.query('update shop.clock set today = $1', [day]);
    const { rows } = await database.pool.query<Record<string, string | number>>(`${sql} order by user_id`);
    const scores: number[][] = [];
    for (const [place, model] of models.entries()) {
      const columns = names.slice(0, columnCountOf(compared[place] ?? ''));
      scores.push(
        await scoresOf(
          pool,
          model,
          rows.map((row) => columns.map((name) => Number(row[name]))),
        ),
      );
    }
    for (const [at, row] of rows.entries()) {
      const customerId = String(row.user_id);
      const own = compared.map((name, place) => [name, scores[place]?.[at] ?? Number.NaN] as const);
      all.push({ customerId, bought: boughtWithin(customerId, day), scores: Object.fromEntries(own) });
    }
  }
  await pool.close();
  return all;
}

/** Returns the mean, over the answers, of the figure of `name` minus that of `reference`. */
function change(name: string, figure: (score: number, bought: boolean) => number, reference = 'repurchase'): Estimate {
  const of = ({ scores, bought }: Answer, model: string) => figure(scores[model] ?? Number.NaN, bought);
  return meanChange(
    answers.map((answer) => ({ customerId: answer.customerId, change: of(answer, name) - of(answer, reference) })),
    1,
  );
}
const foresight = (score: number, bought: boolean) => outcomesOf(score, bought).foresight;
const profit = (score: number, bought: boolean) => outcomesOf(score, bought).profit;

test('covers every customer on every day', () => {
  expect(answers).toHaveLength(days.length * 2357);
});

test('balanced, the deliberately worse version, loses foresight and profit far beyond chance', () => {
  // Measured: −0.098 [−0.103, −0.094], and −$0.64 [−0.67, −0.62] a customer.
  expect(change('balanced', foresight).high).toBeLessThan(-0.09);
  expect(change('balanced', profit).high).toBeLessThan(-0.6);
});

test('fourteen, the better version, has slightly better foresight, and no provable difference in profit', () => {
  // Measured: log-loss −0.0014 [−0.0021, −0.0007], 0.7 % of it; foresight +0.00018 [+0.00004, +0.00032].
  expect(change('fourteen', logLoss).high).toBeLessThan(0);
  expect(change('fourteen', foresight).low).toBeGreaterThan(0);
  const { low, high } = change('fourteen', profit);
  expect(low).toBeLessThan(0);
  expect(high).toBeGreaterThan(0);
  expect(high - low).toBeLessThan(0.02);
});

test('the 8-bit network loses less than a thousandth of log-loss', () => {
  expect(change('network-int8', logLoss, 'network').high).toBeLessThan(0.001);
});
