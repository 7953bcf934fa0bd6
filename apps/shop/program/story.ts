/**
 * The story of one customer in a terminal: a stored answer, a purchase, a live answer with another score, the stored
 * live answer, and a batch answer after a batch refresh.
 */
import type { Client } from '@tandem/client/create-client';
import type { Answered } from '@tandem/client/predictions';
import type { PredictionAnswer } from '@tandem/client/wire';
import type { Pool } from 'pg';
import { buy, readToday } from '../purchase.ts';
import { runBatch } from '../run-batch.ts';

interface StoryParts {
  readonly db: Pool;
  readonly tandem: Client;
  readonly print: (line: string) => void;
  readonly customerId: string;
}

export async function tellStory({ db, tandem, print, customerId }: StoryParts): Promise<void> {
  const read = async () => {
    const started = performance.now();
    const answered = await tandem.predict('repurchase', customerId);
    print(describe(answered, performance.now() - started));
    return answered.answer;
  };
  const today = await readToday(db);
  print(
    `It is ${today} in the shop. Customer ${customerId} opens it; how likely are they to buy again within 4 weeks?\n`,
  );
  const before = await read();

  const result = await buy(db, tandem, { customerId, day: today, quantity: 2, amount: '29.98' });
  print(
    `  customer ${customerId} buys 2 CDs for $29.98: row inserted, event acknowledged as context version ${result.contextVersion}\n`,
  );

  const after = await read();
  await read();

  print('  ops refresh the batch …');
  const run = await runBatch(tandem);
  print(`  generation ${run.generation}: ${run.usersScored} customers scored\n`);
  const refreshed = await read();

  const scores = [before, after, refreshed].map((answer) => Number(answer.prediction.score));
  const [first = Number.NaN, second = Number.NaN, third = Number.NaN] = scores;
  print(
    `The purchase moved the score from ${first.toFixed(3)} to ${second.toFixed(3)}; the batch agrees: ${third.toFixed(3)}.`,
  );
}

/** Returns a text for the source and reason of the answer. */
function meaning({ source, reason }: PredictionAnswer): string {
  if (source === 'batch') return 'stored by a batch run';
  if (source !== 'live') return `not known to be fresh (${reason})`;
  return reason === 'fresh' ? 'inferred for an earlier read, and stored' : 'inferred for this read';
}

function describe({ answer, cacheStatus }: Answered, ms: number): string {
  const score = Number(answer.prediction.score).toFixed(4);
  return [
    `  GET /v1/predictions/repurchase/${answer.userId}   ${meaning(answer)}`,
    `      score ${score}   source: ${answer.source}   reason: ${answer.reason}   ${ms.toFixed(1)} ms`,
    `      context version ${answer.contextVersion}, predicted from ${answer.predictedFromContextVersion}   Cache-Status: ${cacheStatus}\n`,
  ].join('\n');
}
