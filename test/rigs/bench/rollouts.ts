/**
 * Measures the cost of rollouts for served users, with cached reads of two predictors and default settings. One
 * predictor has a canary of a quarter of its users, the other has a shadow. Rounds with and without rollouts alternate
 * on one API process. A candidate is the served model with another feature query, so that its answers cost the same.
 * The canary has its own generation.
 */

import { type ModelDefinition, modelVersionId } from '@tandem/freshness/predictor';
import type { RolloutPlan } from '@tandem/freshness/rollout';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { linearModel } from '@tandem/testing/onnx-models';
import { type LoadResult, load } from './load.ts';
import { createUserPicker } from './pick-users.ts';
import { adoptPredictor, FEATURES, FIRST_USER } from './predictors.ts';
import { scoreEveryone } from './reads.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import { type BenchServers, startApi, startWorker } from './service.ts';

const CANARIED = 'canaried';
const SHADOWED = 'shadowed';
const CONNECTIONS = 64;
const ASK_MS = 200;

export const rollouts: Section = {
  name: 'rollouts',
  async measure(servers, { users, rounds, seconds }, say) {
    const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
    for (const name of [CANARIED, SHADOWED]) {
      await adoptPredictor(servers, { name, artifact, users });
      await scoreEveryone(servers, name);
    }
    const ids = [await add(servers, CANARIED, canaryTo), await add(servers, SHADOWED, shadowOf)];
    await untilRunning(servers, ids);
    const api = await startApi(servers);
    const pick = createUserPicker(users, 0);
    const tail = ` HTTP/1.1\r\nHost: ${new URL(api.url).host}\r\n\r\n`;
    let turn = 0;
    const next = () => `GET /v1/predictions/${turn++ % 2 ? CANARIED : SHADOWED}/${FIRST_USER + pick()}${tail}`;
    const results = { without: [] as LoadResult[], with: [] as LoadResult[] };
    try {
      // Round 0 warms up.
      for (let round = 0; round <= rounds; round++) {
        for (const name of ['without', 'with'] as const) {
          await setRunning(servers, ids, name === 'with');
          const result = await load({ url: api.url, pid: api.pid, connections: CONNECTIONS, seconds, next });
          if (result.failed > 0) throw new Error(`${name} rollouts: ${result.failed} answers were no 200`);
          if (round > 0) results[name].push(result);
          say(
            `round ${round}: ${name.padEnd(7)} ${Math.round(result.requestsPerSecond)} requests/s   p50 ${result.p50Ms.toFixed(2)} ms   p99 ${result.p99Ms.toFixed(2)} ms   CPU ${result.cpuMicros.toFixed(1)} µs`,
          );
        }
      }
    } finally {
      await api.stop();
    }
    return figures(results, await countWork(servers, ids));
  },
};

function canaryTo(version: number): RolloutPlan {
  const guardrails = { errorRate: 0.01, slowShare: 0.05, slowMs: 100, liveShare: null, psi: 0.25 };
  const limits = { intervalMs: 60_000, minStepMs: 600_000, minUsers: 200, alpha: 0.05 };
  const analysis = { automatic: false, dryRun: false, ...limits, guardrails, outcomes: [] };
  return { kind: 'canary', version, steps: [25, 100], coverage: 'required', analysis };
}

function shadowOf(version: number): RolloutPlan {
  return { kind: 'shadow', version, share: 0.1, maxPerSecond: 50 };
}

/** Inserts a second model version of the served model, and starts a rollout to it. */
async function add({ pool }: BenchServers, predictor: string, plan: (version: number) => RolloutPlan): Promise<string> {
  const { rows } = await pool.query<{ definition: ModelDefinition; artifact_hash: string }>(
    `select v.definition, v.artifact_hash from tandem.model_versions v join tandem.arms a on a.model_version_id = v.id
     where a.predictor = $1 and a.name = 'stable'`,
    [predictor],
  );
  const [served] = rows;
  if (!served) throw new Error('nothing is served');
  const { query } = served.definition;
  const definition = { ...served.definition, query: { ...query, sql: `${query.sql} -- the candidate` } };
  const added = await pool.query<{ number: number }>(
    `insert into tandem.model_versions (id, predictor, number, artifact_hash, definition)
     select $1, $4, max(number) + 1, $2, $3 from tandem.model_versions where predictor = $4 returning number`,
    [modelVersionId(definition), served.artifact_hash, JSON.stringify(definition), predictor],
  );
  const made = await createRolloutStore(pool).create({
    predictor,
    plan: plan(added.rows[0]?.number ?? 0),
    actor: 'bench',
  });
  return made.id;
}

/** Waits until a worker has computed the canary's generation and begun both rollouts. */
async function untilRunning(servers: BenchServers, ids: readonly string[]): Promise<void> {
  const worker = await startWorker(servers);
  const store = createRolloutStore(servers.pool);
  try {
    for (;;) {
      const found = await Promise.all(ids.map((id) => store.find(id)));
      if (found.every((rollout) => rollout?.state === 'running')) return;
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
  } finally {
    await worker.stop();
  }
}

async function setRunning({ pool }: BenchServers, ids: readonly string[], isRunning: boolean): Promise<void> {
  const state = isRunning ? 'running' : 'preparing';
  await pool.query('update tandem.rollouts set state = $2 where id = any($1::uuid[])', [ids, state]);
}

interface Work {
  readonly compared: number;
  readonly exposed: number;
}

async function countWork({ pool }: BenchServers, ids: readonly string[]): Promise<Work> {
  const { rows } = await pool.query<Work>(
    `select (select coalesce(sum((counts ->> 'compared')::float8), 0) from tandem.shadow_counts
        where rollout_id = any($1::uuid[]) and segment = '') as compared,
      (select count(*)::float8 from tandem.exposures where rollout_id = any($1::uuid[]) and arm = 'candidate') as exposed`,
    [ids],
  );
  const { compared = 0, exposed = 0 } = rows[0] ?? {};
  if (compared === 0) throw new Error('the shadow compared no answers, so the figures do not include its cost');
  if (exposed === 0) throw new Error('the canary served no users, so the figures do not include its cost');
  return { compared, exposed };
}

function figures(results: Readonly<Record<'with' | 'without', readonly LoadResult[]>>, work: Work): Figure[] {
  const of = (name: 'with' | 'without', value: (result: LoadResult) => number) => results[name].map(value);
  const ratio = (value: (result: LoadResult) => number) => {
    const without = of('without', value);
    return of('with', value).map((beside, i) => beside / (without[i] ?? Number.NaN));
  };
  const rate = (result: LoadResult) => result.requestsPerSecond;
  const p99 = (result: LoadResult) => result.p99Ms;
  const cpu = (result: LoadResult) => result.cpuMicros;
  return [
    figureOf('with a canary and a shadow / without, rate', 'ratio', ratio(rate), { least: 0.9 }),
    figureOf('with a canary and a shadow / without, p99', 'ratio', ratio(p99)),
    figureOf('with a canary and a shadow / without, CPU of the server', 'ratio', ratio(cpu)),
    figureOf('with a canary and a shadow, rate', 'reads/s', of('with', rate)),
    figureOf('without, rate', 'reads/s', of('without', rate)),
    figureOf('with a canary and a shadow, p99', 'ms', of('with', p99)),
    figureOf('without, p99', 'ms', of('without', p99)),
    { name: 'users of the canary exposed', value: work.exposed, unit: 'count' },
    { name: 'answers compared by the shadow', value: work.compared, unit: 'count' },
  ];
}
