/**
 * Scores all users of each predictor without stored predictions, and waits, so that `docker compose up --wait` returns
 * when the predictions are stored. If stored predictions are out of date, it starts a run and does not wait, because
 * the service answers live until the run ends.
 */

import type { Client } from '@tandem/client/create-client';
import { isFinished, type PredictorView, type Run } from '@tandem/client/wire';
import { readEnvironment } from '@tandem/config/environment/environment';
import { database as databaseSection, apiKeys as keysSection } from '@tandem/config/environment/environment-sections';
import { isProblem } from '@tandem/transport/client-errors';
import { sleepFor } from '@tandem/transport/retry';
import { withOwnKey } from '../apps/cli/keys/own-key.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const { database, apiKeys } = readEnvironment(process.env, {
  database: databaseSection,
  apiKeys: keysSection,
});

await withOwnKey(
  {
    databaseUrl: database.url,
    pepper() {
      if (apiKeys.pepper === null) throw new Error('the API requires a key, and API_KEY_PEPPER_FILE is not set');
      return apiKeys.pepper;
    },
  },
  { url: process.env.TANDEM_URL ?? 'http://api:8080', source: 'first-runs' },
  (ms) => sleepFor(ms, undefined),
  async (client) => {
    for (const predictor of await client.predictors()) await provide(client, predictor);
  },
);

async function provide(client: Client, { name, modelVersion, generationExpired }: PredictorView): Promise<void> {
  const { generations, runs } = client;
  // Generations and runs of a rollout do not count.
  const inForce = (await generations(name)).find((one) => one.inForce && one.modelVersion === modelVersion);
  if (inForce !== undefined && !generationExpired) return say(`${name}: generation ${inForce.generation} is current`);
  const run = await startOrJoin(client, name, modelVersion);
  if (inForce !== undefined) return say(`${name}: the stored predictions are out of date; run ${run.id} is under way`);
  say(`${name}: nothing is stored yet, scoring all users (run ${run.id})`);
  const { state, usersScored, usersFailed, error } = await finish(client, run);
  if (state !== 'done' && state !== 'done_with_errors') throw new Error(`run ${run.id} is ${state}: ${error}`);
  say(
    `${name}: ${usersScored} users scored, ${usersFailed} users failed; generation ${(await runs.show(run.id)).generation}`,
  );
}

async function finish({ runs }: Client, run: Run): Promise<Run> {
  for await (const seen of runs.watch(run.id)) if (isFinished(seen.state)) return seen;
  return runs.show(run.id);
}

/** Starts a run, or returns the run that the schedule or an earlier start has begun. */
async function startOrJoin({ runs }: Client, predictor: string, modelVersion: string | null): Promise<Run> {
  try {
    return await runs.start({ predictor, scope: 'all' });
  } catch (error) {
    if (!isProblem(error, 'run_conflict')) throw error;
    const underWay = (await runs.list({ predictor, limit: 100 })).runs.find(
      (run) => run.scope === 'all' && !isFinished(run.state) && run.modelVersion === modelVersion,
    );
    if (underWay === undefined) throw error;
    return underWay;
  }
}
