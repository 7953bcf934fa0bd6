/**
 * 200 predictors of three assigned model versions each (the stable one, and two of an A/B test) on one API with two
 * inference children: what a start, a changed version and a read of a rarely read predictor take, and what a child holds.
 * The models are small dense networks, each with bytes of its own; together they take more than a child may hold.
 *
 * Versions and rollouts are inserted as an adoption and a started rollout leave them, since 600 trials take minutes.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModelDefinition, modelVersionId } from '@tandem/freshness/predictor';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { denseModel } from '@tandem/testing/sized-model';
import { treeOf } from '../process-usage.ts';
import type { Figure } from '../section.ts';
import { type BenchProcess, type BenchServers, startApi } from '../service.ts';
import type { Law } from './law.ts';

const PREDICTORS = Number(process.env.P ?? 200);
/** The predictor whose version changes; it is in no test, which would keep it from being adopted. */
const CHANGED = PREDICTORS - 1;
/** Assigned to arms. */
const VERSIONS = CHANGED * 3 + 1;
/** Users of the one table of features. */
const USERS = 1_000;
const CHILDREN = 2;
/** The least that a child may have: models have half of it, and 600 of these take twice as much. */
const MEMORY_MB = 256;
/** The tests' versions have so many children in all, however many tests there are. */
const MOST_CHILDREN = CHILDREN + 4;
const READS = 300;
const READY_WITHIN_MS = 120_000;
const WIDTH = 12;
const COLUMNS = Array.from({ length: WIDTH }, (_, i) => `f${i + 1}`);
const MODEL = denseModel({ width: WIDTH, units: 150, layers: 2 });

export const manyModels: Law = {
  name: 'many-models',
  promise: 'a changed version loads one model, children keep to their memory, and no predictor slows another down',
  async measure(servers, say) {
    await makeUsers(servers);
    await adopt(servers.pool, { actor: 'bench', predictors: [toAdopt(0, 1)] });
    const alone = await withApi(servers, (api) => readMany(api, () => nameOf(0)));
    say(`a live read of one predictor: ${alone.median.toFixed(2)} ms`);
    await adopt(servers.pool, { actor: 'bench', predictors: all(1) });
    if (process.env.TESTS !== '0') await insertTests(servers);
    return withApi(servers, (api) => measureMany(servers, api, alone.median, say));
  },
};

async function measureMany(
  servers: BenchServers,
  api: BenchProcess & { readonly startMs: number },
  aloneMs: number,
  say: (line: string) => void,
): Promise<readonly Figure[]> {
  const began = performance.now();
  await untilReady(servers, VERSIONS);
  const readyMs = api.startMs + performance.now() - began;
  say(`${VERSIONS} versions ready after ${(readyMs / 1_000).toFixed(1)} s`);
  const often = await readMany(api, () => nameOf(0));
  const rarely = await readMany(api, (read) => nameOf(read % PREDICTORS), PREDICTORS);
  const before = await loadsOf(api);
  const changedAt = performance.now();
  await adopt(servers.pool, { actor: 'bench', predictors: [...all(1).slice(0, CHANGED), toAdopt(CHANGED, 2)] });
  await untilReady(servers, VERSIONS, versionId(CHANGED, 2));
  const changedMs = performance.now() - changedAt;
  const loads = (await loadsOf(api)) - before;
  const memory = childrenOf(api).map(residentMb);
  return [
    { name: 'start of an API until all versions are ready', unit: 's', value: readyMs / 1_000, target: { most: 30 } },
    { name: 'inference children of an API', unit: 'count', value: memory.length, target: { most: MOST_CHILDREN } },
    {
      name: 'resident memory of the largest child',
      unit: 'MB',
      value: Math.max(...memory),
      target: { most: MEMORY_MB },
    },
    {
      name: 'models loaded by each child after one version changed',
      unit: 'count',
      value: loads / CHILDREN,
      target: { most: 1 },
    },
    { name: 'a changed version until it is ready', unit: 's', value: changedMs / 1_000, target: { most: 15 } },
    {
      name: 'live read, one predictor of 200 / the only one',
      unit: 'ratio',
      value: often.median / aloneMs,
      target: { most: 1.5 },
    },
    { name: 'live read, each of 200 predictors in turn: median', unit: 'ms', value: rarely.median },
    {
      name: 'live read, each of 200 predictors in turn: longest',
      unit: 'ms',
      value: rarely.longest,
      target: { most: 250 },
    },
  ];
}

async function makeUsers({ pool }: BenchServers): Promise<void> {
  const values = COLUMNS.map((name) => `random() as ${name}`).join(', ');
  await pool.query(
    `create table features as select n::bigint as user_id, ${values} from generate_series(1, ${USERS}) n`,
  );
  await pool.query('alter table features add primary key (user_id)');
  await pool.query('vacuum analyze features');
}

/** The versions 2 and 3 of each predictor but the last, in an A/B test: a third of the users for each version. */
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

/** Of a test that is held: no worker runs that would judge it. */
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

/** The model with bytes of its own: field 6 of an ONNX model is a text that nothing reads. */
function fileOf(text: string): Buffer {
  return Buffer.concat([MODEL, Buffer.from([0x32, text.length]), Buffer.from(text)]);
}

async function withApi<T>(
  servers: BenchServers,
  work: (api: BenchProcess & { readonly startMs: number }) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  const api = await startApi(servers, { INFERENCE_PROCESSES: `${CHILDREN}`, INFERENCE_MEMORY_MB: `${MEMORY_MB}` });
  try {
    return await work({ ...api, startMs: performance.now() - began });
  } finally {
    await api.stop();
  }
}

/** Waits until the API reports so many versions as ready, this one among them. */
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

/** One after the other; in ms. */
async function readMany(api: BenchProcess, predictorOf: (read: number) => string, reads = READS) {
  const times: number[] = [];
  for (let read = 0; read < reads; read++) {
    const began = performance.now();
    const url = `${api.url}/v1/predictions/${predictorOf(read)}/${1 + (read % USERS)}`;
    const response = await fetch(url, { headers: { 'cache-control': 'no-cache' } });
    const answer = (await response.json()) as { source?: string };
    if (answer.source !== 'live') throw new Error(`${url} answered ${response.status} ${JSON.stringify(answer)}`);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return { median: times[times.length >> 1] ?? Number.NaN, longest: times.at(-1) ?? Number.NaN };
}

/** Models that children which serve have loaded so far. */
async function loadsOf(api: BenchProcess): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  const lines = [...text.matchAll(/^tandem_model_loads_total\{.*when="(?:ahead|on_demand)".*\} (\d+)$/gm)];
  if (lines.length === 0) throw new Error('the API does not say how many models it loaded');
  return lines.reduce((sum, [, value]) => sum + Number(value), 0);
}

function childrenOf({ pid }: BenchProcess): readonly number[] {
  return [...treeOf([pid])].filter((one) => one !== pid);
}

/** 0 of one that has ended meanwhile. */
function residentMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
  } catch {
    return 0;
  }
}
