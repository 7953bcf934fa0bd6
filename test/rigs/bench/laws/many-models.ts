/**
 * One API with two inference children serves 200 predictors. Each has three assigned model versions: the stable version and two
 * of an A/B test. Measures the time of a start, of a changed version and of a read of a rarely read predictor, and the memory
 * of a child. The models are small dense networks with different bytes; together they exceed the memory of a child.
 *
 * Versions and rollouts are inserted as rows, in the form that an adoption and a started rollout leave: 600 trials take minutes.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModelDefinition, modelVersionId } from '@tandem/freshness/predictor';
import { MOST_APART } from '@tandem/inference/live/isolated-pools';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { createPool } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { denseModel } from '@tandem/testing/sized-model';
import { cpuSecondsOf, treeOf } from '../process-usage.ts';
import { type Figure, median } from '../section.ts';
import { type BenchProcess, type BenchServers, startApi } from '../service.ts';
import type { Law } from './law.ts';

const PREDICTORS = 200;
/** The predictor whose version changes. It is in no A/B test, because a predictor in a test cannot be adopted. */
const CHANGED = PREDICTORS - 1;
/** Model versions that are assigned to arms. */
const VERSIONS = CHANGED * 3 + 1;
/** Users in the table of features, which all predictors share. */
const USERS = 1_000;
const CHILDREN = 2;
/** The minimum for a child. 96 MB of it are for models; all models of this test need more than twice that. */
const MEMORY_MB = 256;
/** The most children: the versions of all A/B tests share `MOST_APART` separate children. */
const MOST_CHILDREN = CHILDREN + MOST_APART;
const READS = 300;
const READY_WITHIN_MS = 120_000;
const WIDTH = 12;
const COLUMNS = Array.from({ length: WIDTH }, (_, i) => `f${i + 1}`);
const MODEL = denseModel({ width: WIDTH, units: 150, layers: 2 });

export const manyModels: Law = {
  name: 'many-models',
  promise: 'a changed version loads one model, children keep to their memory, and no predictor slows another down',
  async measure(servers, say) {
    await makeUsers(servers.pool);
    await adopt(servers.pool, { actor: 'bench', predictors: all(1) });
    await insertTests(servers);
    const began = performance.now();
    return withApi(servers, servers.env.DATABASE_URL, async (api) => {
      await untilReady(servers, VERSIONS);
      const readyMs = performance.now() - began;
      say(`${VERSIONS} versions ready after ${(readyMs / 1_000).toFixed(1)} s`);
      const start = { readyMs, cpuMs: cpuSecondsOf([api.pid]) * 1_000 };
      return [...startFigures(start), ...(await measureReads(servers, api)), ...(await measureChange(servers, api))];
    });
  },
};

function startFigures({ readyMs, cpuMs }: { readonly readyMs: number; readonly cpuMs: number }): readonly Figure[] {
  return [
    { name: 'start of an API until all versions are ready', unit: 's', value: readyMs / 1_000 },
    { name: '… CPU of the API and its children', unit: 's', value: cpuMs / 1_000, target: { most: 30 } },
  ];
}

/** Measures reads of one predictor, alternating with the same reads of a service that has only this predictor. */
async function measureReads(servers: BenchServers, api: BenchProcess): Promise<readonly Figure[]> {
  const url = new URL(servers.env.DATABASE_URL);
  url.pathname = '/alone';
  await servers.pool.query('create database alone');
  await migrate(url.href);
  const pool = createPool({ url: url.href, max: 1, applicationName: 'bench' });
  try {
    await makeUsers(pool);
    await adopt(pool, { actor: 'bench', predictors: [toAdopt(0, 1)] });
    const times = await withApi(servers, url.href, async (alone) => {
      const both = { alone: [] as number[], among: [] as number[] };
      for (let read = 0; read < READS; read++) {
        both.alone.push(await timeRead(alone, 0, read));
        both.among.push(await timeRead(api, 0, read));
      }
      return both;
    });
    const rarely: number[] = [];
    for (let predictor = 0; predictor < PREDICTORS; predictor++) rarely.push(await timeRead(api, predictor, predictor));
    const ratio = median(times.among) / median(times.alone);
    return [
      { name: 'live read, one predictor of 200 / the only one', unit: 'ratio', value: ratio, target: { most: 1.5 } },
      { name: 'live read, each of 200 predictors in turn: median', unit: 'ms', value: median(rarely) },
      { name: '… longest', unit: 'ms', value: Math.max(...rarely), target: { most: 250 } },
    ];
  } finally {
    await pool.end();
  }
}

async function measureChange(servers: BenchServers, api: BenchProcess): Promise<readonly Figure[]> {
  const before = await loadsOf(api);
  const changedAt = performance.now();
  const predictors = [...all(1).slice(0, CHANGED), toAdopt(CHANGED, 2)];
  await adopt(servers.pool, { actor: 'bench', predictors });
  await untilReady(servers, VERSIONS, versionId(CHANGED, 2));
  const changedMs = performance.now() - changedAt;
  const loads = ((await loadsOf(api)) - before) / CHILDREN;
  const memory = childrenOf(api).map(residentMb);
  return [
    { name: 'models loaded by each child after one version changed', unit: 'count', value: loads, target: { most: 1 } },
    { name: '… until it is ready', unit: 's', value: changedMs / 1_000, target: { most: 15 } },
    { name: 'inference children of an API', unit: 'count', value: memory.length, target: { most: MOST_CHILDREN } },
    {
      name: 'resident memory of the largest child',
      unit: 'MB',
      value: Math.max(...memory),
      target: { most: MEMORY_MB },
    },
  ];
}

async function makeUsers(pool: BenchServers['pool']): Promise<void> {
  const values = COLUMNS.map((name) => `random() as ${name}`).join(', ');
  await pool.query(
    `create table features as select n::bigint as user_id, ${values} from generate_series(1, ${USERS}) n`,
  );
  await pool.query('alter table features add primary key (user_id)');
  await pool.query('vacuum analyze features');
}

/**
 * Inserts an A/B test of versions 2 and 3 for each predictor except the last. Each version gets a third of the users.
 */
async function insertTests({ pool }: BenchServers): Promise<void> {
  for (let predictor = 0; predictor < CHANGED; predictor++) {
    const versions = [2, 3].map((number) => ({ number, ...toAdopt(predictor, number) }));
    await pool.query(
      `with files as (
        insert into tandem.artifacts (hash, bytes, size) select hash, bytes, octet_length(bytes) from unnest($2::text[], $3::bytea[]) f(hash, bytes)
      ), versions as (
        insert into tandem.model_versions (id, predictor, number, artifact_hash, definition)
        select v.id, $1, v.number, v.hash, v.definition from unnest($4::text[], $5::int[], $2::text[], $6::jsonb[]) v(id, number, hash, definition)
        returning id, number
      ), rollout as (
        insert into tandem.rollouts (predictor, number, kind, state, salt, plan, step_started_at, overlay_floor, created_by)
        values ($1, 1, 'ab', 'held', $1, $7, clock_timestamp(), 1, 'bench') returning id
      )
      insert into tandem.arms (predictor, name, model_version_id, overlay_floor, rollout_id, first_bucket, end_bucket)
      select $1, 'arm' || v.number, v.id, 1, rollout.id, 3333 * (v.number - 2), 3333 * (v.number - 1) from versions v, rollout`,
      [
        nameOf(predictor),
        versions.map(({ definition }) => definition.artifactHash),
        versions.map(({ artifact }) => artifact),
        versions.map(({ definition }) => modelVersionId(definition)),
        versions.map(({ number }) => number),
        versions.map(({ definition }) => JSON.stringify(definition)),
        JSON.stringify(PLAN),
      ],
    );
  }
}

/** The plan of an A/B test that stays as it is, because no worker runs that would judge it. */
const PLAN = {
  kind: 'ab',
  arms: [2, 3].map((version) => ({ name: `arm${version}`, version, weight: 33 })),
  coverage: 'live',
};

const nameOf = (predictor: number) => `p${predictor}`;
const all = (version: number) => Array.from({ length: PREDICTORS }, (_, predictor) => toAdopt(predictor, version));
const versionId = (predictor: number, version: number) => modelVersionId(toAdopt(predictor, version).definition);

function toAdopt(predictor: number, version: number): PredictorToAdopt {
  const name = nameOf(predictor);
  const artifact = fileOf(`${name} version ${version}`);
  const definition: ModelDefinition = {
    predictor: name,
    artifactHash: createHash('sha256').update(artifact).digest('hex'),
    keyType: 'int8',
    query: {
      sql: `select user_id, ${COLUMNS.join(', ')} from features`,
      columns: COLUMNS.map((column) => ({ name: column, kind: 'number' })),
      asOf: null,
      overlayForMs: null,
    },
    inputs: [{ name: 'features', type: 'float32', columns: COLUMNS }],
    outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
  };
  const freshness = {
    ...{ maxAgeMs: null, live: true, liveTimeoutMs: 10_000, unverified: true, default: null, events: ['*'] },
    onLiveFailure: 'stale' as const,
  };
  return {
    name,
    artifact,
    definition,
    policy: { freshness, batch: { schedule: null, chunkSize: 10_000, minCoverage: 1 } },
  };
}

/** Makes a model file with different bytes. Field 6 of an ONNX model is its documentation, which no reader uses. */
function fileOf(text: string): Buffer {
  return Buffer.concat([MODEL, Buffer.from([0x32, text.length]), Buffer.from(text)]);
}

async function withApi<T>(
  servers: BenchServers,
  DATABASE_URL: string,
  work: (api: BenchProcess) => Promise<T>,
): Promise<T> {
  const limits = { INFERENCE_PROCESSES: `${CHILDREN}`, INFERENCE_MEMORY_MB: `${MEMORY_MB}` };
  const api = await startApi(servers, { DATABASE_URL, ...limits });
  try {
    return await work(api);
  } finally {
    await api.stop();
  }
}

/** Waits until the API reports this number of versions as ready, including the given version. */
async function untilReady({ pool }: BenchServers, count: number, id = versionId(0, 1)): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline) {
    const { rows } = await pool.query<{ ready: number; failed: string | null }>(
      `select count(*) filter (where state = 'ready')::int * bool_or(model_version_id = $1 and state = 'ready')::int as ready,
        max(error) as failed from tandem.loaded_versions`,
      [id],
    );
    if (rows[0]?.failed) throw new Error(`a version was not loaded: ${rows[0].failed}`);
    if ((rows[0]?.ready ?? 0) >= count) return;
    await sleep(100);
  }
  throw new Error(`not ready within ${READY_WITHIN_MS} ms`);
}

/** Times a read that must infer, in milliseconds. */
async function timeRead(api: BenchProcess, predictor: number, read: number): Promise<number> {
  const began = performance.now();
  const url = `${api.url}/v1/predictions/${nameOf(predictor)}/${1 + (read % USERS)}`;
  const response = await fetch(url, { headers: { 'cache-control': 'no-cache' } });
  const answer = (await response.json()) as { source?: string };
  if (answer.source !== 'live') throw new Error(`${url} answered ${response.status} ${JSON.stringify(answer)}`);
  return performance.now() - began;
}

/** Counts the models that serving children have loaded so far. */
async function loadsOf(api: BenchProcess): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  const lines = [...text.matchAll(/^tandem_model_loads_total\{.*when="(?:ahead|on_demand)".*\} (\d+)$/gm)];
  if (lines.length === 0) throw new Error('the API does not say how many models it loaded');
  return lines.reduce((sum, [, value]) => sum + Number(value), 0);
}

function childrenOf({ pid }: BenchProcess): readonly number[] {
  return [...treeOf([pid])].filter((one) => one !== pid);
}

/** Returns 0 for a process that has ended. */
function residentMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
  } catch {
    return 0;
  }
}
