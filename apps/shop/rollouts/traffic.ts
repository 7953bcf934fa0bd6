/**
 * Simulates the customers of the shop, who come repeatedly. Each opens the shop. A few look at an order first, which is
 * an event, so that their answer is inferred live. The outcome of the answer is reported at once, as if four weeks had
 * passed.
 */

import type { Client } from '@tandem/client/create-client';
import type { OutcomeInput, PredictionAnswer } from '@tandem/client/wire';
import { isProblem } from '@tandem/transport/client-errors';
import { outcomesOf } from './outcomes.ts';
import type { Tally } from './tally.ts';

interface TrafficParts {
  readonly tandem: Client;
  readonly customerIds: readonly string[];
  readonly bought: (customerId: string) => boolean;
  readonly random: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly tally: Tally;
}

/**
 * The most customers per second: a tenth of all, in the same order each time. So no customer returns within
 * `outcomeWindow`, in which an outcome counts for the preceding answer. The four weeks pass in two seconds. If the
 * clocks differed, an outcome could seem to precede its answer and would not count.
 */
const groupCount = 10;
const groupMs = 1_000;
const fourWeeksMs = 2_000;
export const outcomeWindow = '5s';

/**
 * One customer in `viewsOneIn` looks at an order first, and one in `readsAloneOneIn` is read alone. The others are read
 * in bulk.
 */
const viewsOneIn = 40;
const readsAloneOneIn = 12;
const readsAtOnce = 60;

/** Runs traffic until the signal aborts. */
export async function runTraffic(parts: TrafficParts, signal: AbortSignal): Promise<void> {
  const groups = groupCustomers(parts.customerIds, parts.random, groupCount);
  for (let turn = 0; !signal.aborted; turn++) {
    const started = performance.now();
    await comeAndGo(parts, groups[turn % groups.length] ?? []);
    await parts.sleep(Math.max(0, groupMs - (performance.now() - started)));
  }
}

/** Returns groups of all customers in a seeded random order. Sizes differ by at most one. */
export function groupCustomers(customerIds: readonly string[], random: () => number, count: number): string[][] {
  const shuffled = customerIds.map((id) => ({ id, at: random() })).sort((a, b) => a.at - b.at);
  return Array.from({ length: count }, (_, group) =>
    shuffled.filter((_, place) => place % count === group).map(({ id }) => id),
  );
}

async function comeAndGo({ tandem, bought, random, tally }: TrafficParts, customerIds: readonly string[]) {
  const viewers = customerIds.filter(() => random() * viewsOneIn < 1);
  if (viewers.length > 0)
    await tandem.sendEvents(viewers.map((subject) => ({ subject, type: 'order.viewed', id: crypto.randomUUID() })));
  const answers = await readAll(tandem, customerIds);
  const time = new Date(Date.now() + fourWeeksMs).toISOString();
  const outcomes = answers.flatMap((answer) => toldOf(answer, bought(answer.userId), time));
  if (outcomes.length > 0) await tandem.sendOutcomes(outcomes);
  for (const answer of answers) {
    tally.add(answer, outcomesOf(Number(answer.prediction.score), bought(answer.userId)));
  }
}

/** Reads the predictions of customers in bulk. Excludes customers without an answer; the service counts them. */
async function readAll(tandem: Client, customerIds: readonly string[]): Promise<PredictionAnswer[]> {
  const alone = customerIds.filter((_, place) => place % readsAloneOneIn === 0);
  const together = customerIds.filter((_, place) => place % readsAloneOneIn !== 0);
  const requests = alone.map(async (customerId) => [(await tandem.predict('repurchase', customerId)).answer]);
  for (let at = 0; at < together.length; at += readsAtOnce) {
    const many = tandem.predictMany('repurchase', together.slice(at, at + readsAtOnce));
    requests.push(many.then((results) => results.flatMap(({ answer }) => answer ?? [])));
  }
  const answered = requests.map((request) =>
    request.catch((error: unknown) => {
      if (isProblem(error, 'unavailable', 'overloaded')) return [];
      throw error;
    }),
  );
  return (await Promise.all(answered)).flat();
}

function toldOf({ userId, prediction }: PredictionAnswer, bought: boolean, time: string): OutcomeInput[] {
  const outcomes = outcomesOf(Number(prediction.score), bought);
  return Object.entries(outcomes).map(([name, value]) => ({ userId, name, value, time }));
}
