/** The actions on an installation, in order. Reads, events and runs continue during the actions. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { RELEASE } from '@tandem/telemetry/release';
import { until } from '../../e2e/until.fixture.ts';
import { tellFault } from '../faults/rig/tell-fault.ts';
import { type Cluster, RELEASE_NAME, untilReplicas } from './cluster.ts';
import { SLOW } from './config.ts';
import { SERVICE, type Trial } from './trial.ts';

interface Scenario {
  readonly name: string;
  /** Whether reads may fail during the action. */
  readonly mayFail?: true;
  run(trial: Trial): Promise<void>;
}

const API = `${RELEASE_NAME}-api`;
const WORKER = `${RELEASE_NAME}-worker`;
/** The pause before and after an action. */
const CALM_MS = 10_000;
const SCALED_WITHIN_MS = 300_000;

export const scenarios: readonly Scenario[] = [
  { name: 'upgrade', run: upgrade },
  { name: 'rollback', run: rollBack },
  { name: 'contract', run: contract },
  { name: 'keda', run: scaleWorkers },
  { name: 'evict', run: evict },
  { name: 'kill', mayFail: true, run: killPods },
  { name: 'postgres', mayFail: true, run: restartPostgres },
  { name: 'doctor', run: (trial) => trial.cluster.helm('test', RELEASE_NAME, '--logs').then(trial.options.say) },
];

/** Upgrades release and schema: the hooks run first, then one pod after the other is replaced. */
async function upgrade(trial: Trial): Promise<void> {
  const migrations = () => trial.count('select count(*) as n from tandem.migrations');
  const before = await migrations();
  await pause(CALM_MS);
  await trial.cluster.install(trial.valuesOf(trial.options.image));
  const applied = (await migrations()) - before;
  if (applied === 0) throw new Error('the releases have the same migrations: nothing was upgraded');
  await assertReleases(trial, 1);
  trial.options.say(`${applied} migrations were applied while the previous release served`);
  await pause(CALM_MS);
}

/** Rolls back to the previous release on the newer schema, and upgrades again. */
async function rollBack(trial: Trial): Promise<void> {
  await trial.cluster.helm('rollback', RELEASE_NAME, '1', '--wait', '--timeout', '300s');
  await assertReleases(trial, 1);
  await pause(CALM_MS);
  await trial.cluster.install(trial.valuesOf(trial.options.image));
  await pause(CALM_MS);
}

/** Drops what only the previous release used, after its pods have ended. */
async function contract(trial: Trial): Promise<void> {
  const { cluster, options, valuesOf, count } = trial;
  await cluster.install({ ...valuesOf(options.image), 'jobs.contractFor': RELEASE });
  const dropped = await count('select count(*) as n from tandem.contract_migrations');
  if (dropped === 0) throw new Error('nothing was dropped');
  options.say(`${dropped} files of migrations/contract were applied`);
  await pause(CALM_MS);
}

/** Expects that the live processes belong to this number of releases. */
async function assertReleases({ count }: Trial, releases: number): Promise<void> {
  const seen = await until('ended processes are gone', async () => {
    const n = await count(`select count(distinct release) as n from tandem.processes
      where seen_at > clock_timestamp() - interval '15 s'`);
    return n === releases;
  });
  if (!seen) throw new Error(`not ${releases} releases`);
}

/**
 * Scales workers 1 → 3 → 1 with a run for several workers. Zero is allowed, but the load's events always need one
 * worker.
 */
async function scaleWorkers({ cluster, options, url, valuesOf, count }: Trial): Promise<void> {
  const keda = { enabled: true, minReplicas: 0, maxReplicas: 3, pollingSeconds: 5, cooldownSeconds: 15 };
  const values = Object.fromEntries(Object.entries(keda).map(([name, value]) => [`worker.keda.${name}`, value]));
  // One worker would need minutes for this run, which is due after one minute, so the maximum of workers is needed.
  await cluster.install({ ...valuesOf(options.image), ...values, 'api.env.RUN_DEADLINE_MINUTES': '1' });
  await cluster.kubectl('wait', '--for=condition=Ready', 'scaledobject', WORKER, '--timeout=120s');
  const runs = () => count(`select count(*) as n from tandem.runs where predictor = '${SLOW}' and state = 'done'`);
  const before = await runs();
  const startedAt = performance.now();
  const since = () => `${Math.round((performance.now() - startedAt) / 1_000)} s`;
  const answer = await fetch(`${url}/v1/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ predictor: SLOW, scope: 'all' }),
  });
  if (answer.status !== 202) throw new Error(`the run was answered with ${answer.status}: ${await answer.text()}`);
  await untilReplicas(cluster, WORKER, 3);
  options.say(`3 workers are ready ${since()} after the request of the run`);
  await until('the run is done', async () => (await runs()) > before, SCALED_WITHIN_MS);
  options.say(`the run is done after ${since()}`);
  await untilReplicas(cluster, WORKER, 1);
  options.say(`1 worker is left after ${since()}`);
}

/** Evicts two pods at once, as when a node is drained. The disruption budget must allow only one eviction. */
async function evict({ cluster, options }: Trial): Promise<void> {
  await untilReplicas(cluster, API, 2);
  const pods = await podsOf(cluster);
  const said: string[] = [];
  for (const pod of pods) said.push(await evictPod(cluster, pod));
  options.say(`evicted ${pods.length} pods at once: ${said.join('; ')}`);
  if (said.toSorted().join() !== 'evicted,refused by the budget')
    throw new Error('the disruption budget is not one pod');
  await untilReplicas(cluster, API, 2);
  await pause(CALM_MS);
}

interface PodList {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly deletionTimestamp?: string } }[];
}

/** Returns the API's pods that are not ending. The eviction of an ending pod would always be allowed. */
async function podsOf({ kubectl }: Cluster): Promise<readonly string[]> {
  const listed = await kubectl('get', 'pods', '--selector', 'app.kubernetes.io/component=api', '--output', 'json');
  const { items } = JSON.parse(listed) as PodList;
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.name);
}

async function evictPod({ kubectl, namespace }: Cluster, pod: string): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'eviction-')), 'eviction.json');
  await writeFile(file, JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod } }));
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`;
  return kubectl('create', '--raw', path, '--filename', file).then(
    () => 'evicted',
    (error: unknown) => (String(error).includes('disruption budget') ? 'refused by the budget' : String(error)),
  );
}

/** Deletes an API pod and the worker pods without a grace period. The kubelet gives them 2 s. */
async function killPods({ cluster, sink, options }: Trial): Promise<void> {
  const [pod = ''] = await podsOf(cluster);
  await tellFault(
    sink,
    { name: 'kill', seed: options.seed, mayHang: [SERVICE], recoversWithinMs: 60_000 },
    {
      async inject() {
        await cluster.kubectl('delete', 'pod', pod, '--grace-period=0', '--force');
        await cluster.kubectl(
          'delete',
          'pod',
          '--selector',
          'app.kubernetes.io/component=worker',
          '--grace-period=0',
          '--force',
        );
      },
      async lift() {
        await untilReplicas(cluster, API, 2);
        await untilReplicas(cluster, WORKER, 1);
      },
    },
  );
  await pause(CALM_MS);
}

/** Restarts Postgres. The API's pods must stay in the Service and answer as far as possible. */
async function restartPostgres({ cluster, sink, options, count }: Trial): Promise<void> {
  const startedAt = () => count('select extract(epoch from pg_postmaster_start_time()) as n');
  const before = await startedAt();
  const stop = 'kill -INT $(head -1 /var/lib/postgresql/*/docker/postmaster.pid)';
  await tellFault(
    sink,
    { name: 'postgres', seed: options.seed, mayHang: [SERVICE], recoversWithinMs: 60_000 },
    {
      async inject() {
        await cluster.kubectl('exec', 'postgres-0', '--', 'sh', '-c', stop);
      },
      async lift() {
        await until('Postgres is back', async () => (await startedAt()) !== before);
      },
    },
  );
  await pause(CALM_MS);
}
