/** What is done to an installation, in this order. Reads, events and runs go on meanwhile. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../e2e/until.fixture.ts';
import { tellFault } from '../faults/rig/tell-fault.ts';
import { type Cluster, RELEASE_NAME, untilReplicas } from './cluster.ts';
import { SLOW } from './config.ts';
import { SERVICE, type Trial } from './trial.ts';

interface Scenario {
  readonly name: string;
  /** Reads may fail while it lasts. */
  readonly mayFail?: true;
  run(trial: Trial): Promise<void>;
}

const API = `${RELEASE_NAME}-api`;
const WORKER = `${RELEASE_NAME}-worker`;
/** Before and after what is done. */
const CALM_MS = 10_000;
const SCALED_WITHIN_MS = 300_000;

export const scenarios: readonly Scenario[] = [
  { name: 'upgrade', run: upgrade },
  { name: 'contract', run: contract },
  { name: 'keda', run: scaleWorkers },
  { name: 'evict', run: evict },
  { name: 'kill', mayFail: true, run: killPods },
  { name: 'postgres', mayFail: true, run: restartPostgres },
  { name: 'doctor', run: (trial) => trial.cluster.helm('test', RELEASE_NAME, '--logs').then(trial.options.say) },
];

/** Release and schema, by the chart: hooks first, then one pod after the other. */
async function upgrade({ cluster, options, count, valuesOf }: Trial): Promise<void> {
  const migrations = () => count('select count(*) as n from tandem.migrations');
  const before = await migrations();
  await pause(CALM_MS);
  await cluster.install(valuesOf(options.image));
  options.say(`${(await migrations()) - before} migrations were applied beside the release before`);
  await pause(CALM_MS);
}

/** What only the release before used goes once its pods are gone. */
async function contract({ cluster, options, count, valuesOf }: Trial): Promise<void> {
  await cluster.install({ ...valuesOf(options.image), 'migrate.contract': true });
  options.say(`${await count('select count(*) as n from tandem.contractions')} contractions`);
  await pause(CALM_MS);
}

/** A run with work for several workers: 1 → 3 → 1. */
async function scaleWorkers({ cluster, options, url, valuesOf, count }: Trial): Promise<void> {
  const keda = { enabled: true, maxReplicas: 3, pollingSeconds: 5, cooldownSeconds: 15 };
  const values = Object.fromEntries(Object.entries(keda).map(([name, value]) => [`worker.keda.${name}`, value]));
  // A run of minutes for one worker, due after one: more are needed than there may be.
  await cluster.install({ ...valuesOf(options.image), ...values, 'api.env.RUN_DEADLINE_MINUTES': '1' });
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
  options.say(`3 workers are ready ${since()} after the run was asked for`);
  await until('the run is done', async () => (await runs()) > before, SCALED_WITHIN_MS);
  options.say(`the run is done after ${since()}`);
  await untilReplicas(cluster, WORKER, 1);
  options.say(`1 worker is left after ${since()}`);
}

/** The disruption budget lets one pod go, as when a node is drained, and not the second at the same time. */
async function evict({ cluster, options }: Trial): Promise<void> {
  await untilReplicas(cluster, API, 2);
  const pods = await podsOf(cluster);
  const said: string[] = [];
  for (const pod of pods) said.push(await evictPod(cluster, pod));
  options.say(`evicted ${pods.length} pods at once: ${said.join('; ')}`);
  if (said.filter((one) => one === 'evicted').length !== 1) throw new Error('the disruption budget is not one pod');
  await untilReplicas(cluster, API, 2);
  await pause(CALM_MS);
}

async function podsOf({ kubectl }: Cluster): Promise<readonly string[]> {
  const names = await kubectl('get', 'pods', '--selector', 'app.kubernetes.io/component=api', '--output', 'name');
  return names
    .split('\n')
    .filter(Boolean)
    .map((name) => name.replace('pod/', ''));
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

/** Without a word, as by a node that dies: an API and a worker. */
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

/** The API's pods stay in the Service meanwhile, and answer what they can. */
async function restartPostgres({ cluster, sink, options }: Trial): Promise<void> {
  await tellFault(
    sink,
    { name: 'postgres', seed: options.seed, mayHang: [SERVICE], recoversWithinMs: 60_000 },
    {
      async inject() {
        await cluster.kubectl(
          'exec',
          'postgres-0',
          '--',
          'sh',
          '-c',
          'kill -INT $(head -1 /var/lib/postgresql/*/docker/postmaster.pid)',
        );
      },
      async lift() {
        await cluster.kubectl('rollout', 'status', 'statefulset/postgres', '--timeout=180s');
      },
    },
  );
  await pause(CALM_MS);
}
