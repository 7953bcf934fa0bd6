/**
 * Two stories of model versions in a terminal. One has a canary that is promoted and a canary that is aborted
 * automatically; the other has an A/B test of three versions. The date of the shop is the last day of 1997. The
 * purchases of the following four weeks are the outcomes of the answers.
 */
import type { Client } from '@tandem/client/create-client';
import { createRandom } from '@tandem/experiment/distributions/random';
import type { Pool } from 'pg';
import { replayEve, resetHistory } from '../load-history.ts';
import { indexPurchases } from '../purchases-after.ts';
import { readTransactions } from '../read-transactions.ts';
import { runBatch } from '../run-batch.ts';
import { beginRollout, type FollowParts, followRollout, isOver } from './follow-rollout.ts';
import { catalogueCost, catalogueFrom, orderMargin } from './outcomes.ts';
import { abPlan, canaryPlan } from './plans.ts';
import { renderOutcome, renderSample, renderStep, renderTally, renderVersion } from './render.ts';
import { createTally } from './tally.ts';
import { runTraffic } from './traffic.ts';
import { pushVersions, type ShopVersionName } from './versions.ts';

interface StoriesParts {
  readonly db: Pool;
  readonly tandem: Client;
  readonly print: (line: string) => void;
  /** Waits for a time in ms. Rejects if the signal aborts. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly seed: number;
}

export async function tellCanary(parts: StoriesParts): Promise<void> {
  const { tandem, print } = parts;
  await prepareShop(parts);
  const versions = await push(parts, ['fourteen', 'boosted', 'network', 'network-int8', 'balanced']);
  await withTraffic(parts, async (story) => {
    const stable = await stableVersion(tandem);
    if (stable === versions.fourteen) {
      print(`Version ${stable} has been stable since an earlier story: only the second canary is run.`);
    } else {
      print(`A canary of version ${versions.fourteen}, next to version ${stable}:`);
      await followRollout(story, canaryPlan(versions.fourteen));
    }
    print(`\nA canary of version ${versions.balanced}. Its AUC was as good, but its answers are worse:`);
    await followRollout(story, canaryPlan(versions.balanced));
  });
  print(
    '\n`npx tandem rollout list` and `npx tandem audit list` show all changes; `npx tandem version rollback repurchase` rolls back.',
  );
}

/** The duration of the A/B test in ms, in which every customer comes a few times. */
const abMs = 40_000;

export async function tellAb(parts: StoriesParts): Promise<void> {
  const { tandem, print } = parts;
  await prepareShop(parts);
  const versions = await push(parts, ['boosted', 'balanced']);
  await withTraffic(parts, async (story) => {
    print('An A/B test of both with the stable version:');
    const arms = Object.entries(versions).map(([variant, version]) => ({ variant, version }));
    const rollout = await beginRollout(story, abPlan(arms));
    story.tally.take();
    await story.sleep(abMs);
    for (const line of renderTally(story.tally.take())) print(line);
    const { outcomes, judgement } = await tandem.rollouts.report(rollout.id);
    for (const line of [...renderSample(judgement), ...outcomes.flatMap(renderOutcome)]) print(line);
    print(renderStep(await tandem.rollouts.move(rollout.id, 'end', { reason: 'the story is over' })));
  });
}

async function prepareShop({ db, tandem, print }: StoriesParts): Promise<void> {
  const { rollouts } = await tandem.rollouts.list({ predictor: 'repurchase', limit: 1 });
  for (const { id, state } of rollouts) {
    if (!isOver(state)) await tandem.rollouts.move(id, 'abort', { reason: 'another story begins' });
  }
  await resetHistory(db, replayEve);
  const { generation, usersScored } = await runBatch(tandem);
  print(
    `It is ${replayEve} in the shop. Generation ${generation}: ${usersScored} customers scored by the stable version.\n`,
  );
}

/** Pushes versions. Returns the number of each by name. */
async function push<Name extends ShopVersionName>(
  { tandem, print }: StoriesParts,
  names: readonly Name[],
): Promise<Record<Name, string>> {
  print('Model versions are pushed. Each is tried on real customers before it is stored; none serves a customer yet.');
  const pushed = await pushVersions(tandem, names);
  for (const version of pushed.values()) print(renderVersion(version));
  print('');
  return Object.fromEntries(names.map((name) => [name, pushed.get(name)?.modelVersion])) as Record<Name, string>;
}

async function stableVersion(tandem: Client): Promise<string | null> {
  const predictors = await tandem.predictors();
  return predictors.find(({ name }) => name === 'repurchase')?.modelVersion ?? null;
}

const outcomesExplained = `Customers come and go. The outcome of each answer is reported at once, as if four weeks had passed:
  foresight   1 − (score − bought)²: 1 for a certain answer that comes true, 0 for a certain answer that does not
  profit      a catalogue costs $${catalogueCost} and is sent from a score of ${catalogueFrom} on; an order brings $${orderMargin}
`;

/** Runs traffic until the work is done. If the traffic fails, the work is ended too. */
async function withTraffic(parts: StoriesParts, work: (parts: FollowParts) => Promise<void>): Promise<void> {
  parts.print(outcomesExplained);
  const history = await readTransactions();
  const boughtWithin = indexPurchases(history);
  const tally = createTally();
  const end = new AbortController();
  const traffic = {
    ...parts,
    tally,
    customerIds: [...new Set(history.map(({ customerId }) => customerId))],
    bought: (customerId: string) => boughtWithin(customerId, replayEve),
    random: createRandom(parts.seed),
  };
  const running = runTraffic(traffic, end.signal);
  try {
    await Promise.race([work({ ...parts, tally, sleep: (ms) => parts.sleep(ms, end.signal) }), running]);
  } finally {
    end.abort();
    await running.catch(() => undefined);
  }
}
