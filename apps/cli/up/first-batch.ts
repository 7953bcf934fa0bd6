/**
 * Starts the first runs. Predictors without stored predictions, or with expired ones only, get a run now and not at the
 * next slot.
 */

import type { Client } from '@tandem/client/create-client';
import { type GenerationView, isFinished, type PredictorView, type Run } from '@tandem/client/wire';
import { findApiKey } from '@tandem/commands/environment';
import { ago, count, duration } from '@tandem/commands/output/text';
import { isProblem } from '@tandem/transport/client-errors';
import { sleepFor } from '@tandem/transport/retry';
import { findPepper } from '../keys/open-keys.ts';
import { withOwnKey } from '../keys/own-key.ts';
import { followRun, throwUnlessDone } from '../runs/follow-run.ts';
import { stepLabel, type UpContext } from './up-context.ts';

interface FirstBatchPlace {
  /** The URL of the API. */
  readonly url: string;
  readonly databaseUrl: string;
}

export async function runFirstBatches(
  context: UpContext,
  { url, databaseUrl }: FirstBatchPlace,
  predictors: readonly string[],
): Promise<void> {
  const options = { url, source: 'tandem-up', timeoutMs: 10_000, ...findApiKey(context.cli) };
  const place = { databaseUrl, pepper: () => findPepper(context.cli) };
  await withOwnKey(
    place,
    options,
    (ms) => sleepFor(ms, context.cli.signal),
    (client) => refreshAll(context, client, predictors),
  );
}

async function refreshAll(context: UpContext, client: Client, predictors: readonly string[]): Promise<void> {
  const views = await client.predictors({ signal: context.cli.signal });
  for (const view of views.filter(({ name }) => predictors.includes(name))) await refreshIfDue(context, client, view);
}

async function refreshIfDue(context: UpContext, client: Client, view: PredictorView): Promise<void> {
  const { cli, say } = context;
  const generations = await client.generations(view.name);
  const inForce = generations.find((generation) => generation.inForce && isServed(generation, view));
  if (inForce !== undefined && !view.generationExpired) {
    const { generation, users, startedAt } = inForce;
    say(
      'batch',
      `${view.name}: generation ${generation}, ${count(users)} users, computed ${ago(startedAt, cli.now())}`,
    );
    return;
  }
  say('batch', `${view.name}: ${whyDue(generations, inForce, view)}, scoring all users`);
  const startedAt = cli.now();
  const started = await startOrJoin(client, view);
  if (started === null) {
    say(
      'batch',
      `${view.name}: takes request features without a default, so no predictions are stored and each read is live`,
    );
    return;
  }
  const run = await followRun(cli, client, started, stepLabel('batch'));
  throwUnlessDone(run);
  say('batch', `${view.name}: ${resultOf(run)} in ${duration(cli.now() - startedAt)}`);
}

function whyDue(
  generations: readonly GenerationView[],
  inForce: GenerationView | undefined,
  { modelVersion }: PredictorView,
): string {
  if (inForce !== undefined) return 'the stored predictions are older than maxAge';
  if (!generations.some(({ state }) => state === 'published')) return 'no predictions are stored yet';
  return `no generation of model version ${modelVersion} is current`;
}

/** Returns whether a generation or run is of the stable model version. Those of a rollout may be of other versions. */
function isServed({ modelVersion }: { readonly modelVersion: string }, view: PredictorView): boolean {
  return modelVersion === view.modelVersion;
}

/**
 * Starts a run, or joins a run that an earlier start or the schedule has begun. Returns null if no run can score users,
 * because the model needs features that only requests send.
 */
async function startOrJoin(client: Client, view: PredictorView): Promise<Run | null> {
  const { name: predictor } = view;
  try {
    return await client.runs.start({ predictor, scope: 'all' });
  } catch (error) {
    if (isProblem(error, 'request_features_required')) return null;
    if (!isProblem(error, 'run_conflict')) throw error;
    const { runs } = await client.runs.list({ predictor, limit: 100 });
    const underWay = runs.find((run) => run.scope === 'all' && !isFinished(run.state) && isServed(run, view));
    if (underWay === undefined) throw error;
    return underWay;
  }
}

function resultOf({ id, generation, usersScored, usersFailed }: Run): string {
  const failed = usersFailed === 0 ? '' : `, ${count(usersFailed)} could not be scored; see npx tandem run show ${id}`;
  return `generation ${generation ?? '?'}, ${count(usersScored)} users${failed}`;
}
