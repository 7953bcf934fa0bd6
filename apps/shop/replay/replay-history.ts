/**
 * Replays the last months of the shop's history as if they happened now. Each day has a batch run, then its purchases
 * as rows and events, with reads of the customers' predictions between them.
 */
import type { Client } from '@tandem/client/create-client';
import type { PredictionAnswer } from '@tandem/client/wire';
import { createRandom } from '@tandem/experiment/distributions/random';
import type { Pool } from 'pg';
import { replayEve, resetHistory } from '../load-history.ts';
import { buy, setToday } from '../purchase.ts';
import { addDays, horizonDays, indexPurchases } from '../purchases-after.ts';
import { readTransactions, type Transaction } from '../read-transactions.ts';
import { runBatch } from '../run-batch.ts';
import type { DayShares } from './picture.ts';
import type { Occasion, Reading } from './scorecard.ts';
import { daysBetween, planDay } from './timeline.ts';

/** The end of the history. */
const lastPurchase = '1998-06-30';
const readsAtOnce = 500;

export interface ReplayOptions {
  readonly from: string;
  readonly to: string;
  readonly seed: number;
  /** The speed in days per minute; null: as fast as the service answers. */
  readonly speed: number | null;
}

interface ReplayParts {
  readonly db: Pool;
  readonly tandem: Client;
  readonly onDay: (day: string, done: number, all: number) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface ReplayResult {
  readonly readings: readonly Reading[];
  readonly days: readonly DayShares[];
  /** Milliseconds of single reads, by the source of the answer. */
  readonly latencies: { readonly batch: readonly number[]; readonly live: readonly number[] };
  readonly purchases: number;
}

export const defaultPeriod = { from: addDays(replayEve, 1), to: addDays(lastPurchase, -horizonDays) };

export async function replayHistory(parts: ReplayParts, options: ReplayOptions): Promise<ReplayResult> {
  const history = await readTransactions();
  const replay = createReplay(parts, history, options);
  await resetHistory(parts.db, addDays(options.from, -1));
  const days = daysBetween(options.from, options.to);
  for (const [done, day] of days.entries()) {
    const started = performance.now();
    parts.onDay(day, done, days.length);
    await replay.day(day);
    if (options.speed !== null) await parts.sleep(Math.max(0, 60_000 / options.speed - (performance.now() - started)));
  }
  return replay.result();
}

function createReplay({ db, tandem }: ReplayParts, history: readonly Transaction[], { seed }: ReplayOptions) {
  const random = createRandom(seed);
  const customerIds = [...new Set(history.map(({ customerId }) => customerId))];
  const boughtWithin = indexPurchases(history);
  const readings: Reading[] = [];
  const days: DayShares[] = [];
  const latencies: { batch: number[]; live: number[] } = { batch: [], live: [] };
  let purchases = 0;

  function note(
    day: string,
    occasion: Occasion,
    answer: PredictionAnswer,
    batchScores: ReadonlyMap<string, number>,
  ): void {
    const { userId: customerId, source } = answer;
    const score = Number(answer.prediction.score);
    const batchScore = batchScores.get(customerId) ?? score;
    readings.push({ day, customerId, occasion, source, score, batchScore, bought: boughtWithin(customerId, day) });
  }

  async function readMany(ids: readonly string[]): Promise<PredictionAnswer[]> {
    const results = await tandem.predictMany('repurchase', ids);
    return results.map(({ userId, answer, problem }) => {
      if (!answer) throw new Error(`customer ${userId}: ${problem.detail}`);
      return answer;
    });
  }

  async function readOne(customerId: string): Promise<PredictionAnswer> {
    const started = performance.now();
    const { answer } = await tandem.predict('repurchase', customerId);
    latencies[answer.source === 'batch' ? 'batch' : 'live'].push(performance.now() - started);
    return answer;
  }

  async function nightlyScores(): Promise<Map<string, number>> {
    await runBatch(tandem);
    const answers: PredictionAnswer[] = [];
    for (let at = 0; at < customerIds.length; at += readsAtOnce)
      answers.push(...(await readMany(customerIds.slice(at, at + readsAtOnce))));
    return new Map(answers.map((answer) => [answer.userId, Number(answer.prediction.score)]));
  }

  return {
    async day(day: string): Promise<void> {
      await setToday(db, day);
      const batchScores = await nightlyScores();
      const first = readings.length;
      // One read of each day is single, so that the latency of stored answers is measured like that of live answers.
      const alone = customerIds[Math.floor(random() * customerIds.length)] ?? '';
      await readOne(alone);
      const bought = history.filter((transaction) => transaction.day === day);
      for (const happening of planDay(bought, customerIds, random, readsAtOnce)) {
        if (happening.kind === 'reads') {
          for (const answer of await readMany(happening.customerIds)) note(day, 'daily', answer, batchScores);
        } else {
          await buy(db, tandem, happening.transaction);
          purchases++;
          note(day, 'after purchase', await readOne(happening.transaction.customerId), batchScores);
        }
      }
      const today = readings.slice(first);
      const count = (source: Reading['source']) => today.filter((reading) => reading.source === source).length;
      days.push({ day, reads: today.length, live: count('live'), stale: count('stale') });
    },
    result: (): ReplayResult => ({ readings, days, latencies, purchases }),
  };
}
