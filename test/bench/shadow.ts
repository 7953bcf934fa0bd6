/**
 * What a shadow costs those who are served: cached reads with one beside every user and without, in rounds that alternate on
 * one process of the API. The candidate is the served model under another feature query, so that its answers cost what the
 * served ones did.
 */
import { createRolloutStore } from '@tandem/offline-store/rollouts';
import { type ModelDefinition, modelVersionId } from '@tandem/prediction/predictor';
import { linearModel } from '@tandem/testing/onnx-models';
import { type LoadResult, load } from './load.ts';
import { createUserPicker } from './pick-users.ts';
import { adoptPredictor, FEATURES, FIRST_USER } from './predictors.ts';
import { scoreEveryone } from './reads.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import { type BenchServers, startApi } from './service.ts';

const PREDICTOR = 'shadowed';
const CONNECTIONS = 64;
/** More than a quarter of a processor gives: the budget is what bounds it, as it would of a heavy model. */
const MAX_PER_SECOND = 2_000;

export const shadow: Section = {
  name: 'shadow',
  async measure(servers, { users, rounds, seconds }, say) {
    const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
    await adoptPredictor(servers, { name: PREDICTOR, artifact, users });
    await scoreEveryone(servers, PREDICTOR);
    const rolloutId = await addShadow(servers);
    const api = await startApi(servers);
    const pick = createUserPicker(users, 0);
    const tail = ` HTTP/1.1\r\nHost: ${new URL(api.url).host}\r\n\r\n`;
    const next = () => `GET /v1/predictions/${PREDICTOR}/${FIRST_USER + pick()}${tail}`;
    const results = { without: [] as LoadResult[], with: [] as LoadResult[] };
    try {
      // Round 0 warms up.
      for (let round = 0; round <= rounds; round++) {
        for (const name of ['without', 'with'] as const) {
          await setRunning(servers, rolloutId, name === 'with');
          const result = await load({ url: api.url, pid: api.pid, connections: CONNECTIONS, seconds, next });
          if (result.failed > 0) throw new Error(`${name} a shadow: ${result.failed} answers were no 200`);
          if (round > 0) results[name].push(result);
          say(
            `round ${round}: ${name.padEnd(7)} ${Math.round(result.requestsPerSecond)} requests/s   p50 ${result.p50Ms.toFixed(2)} ms   p99 ${result.p99Ms.toFixed(2)} ms   CPU ${result.cpuMicros.toFixed(1)} µs`,
          );
        }
      }
    } finally {
      await api.stop();
    }
    return figures(results, await countCompared(servers, rolloutId));
  },
};

/** A version of the served model that has another identity, as the candidate of a shadow that does not run yet. */
async function addShadow({ pool }: BenchServers): Promise<string> {
  const { rows } = await pool.query<{ definition: ModelDefinition; artifact_hash: string }>(
    `select v.definition, v.artifact_hash from tandem.model_versions v join tandem.arms a on a.model_version_id = v.id
     where a.predictor = $1 and a.name = 'stable'`,
    [PREDICTOR],
  );
  const [served] = rows;
  if (!served) throw new Error('nothing is served');
  const { query } = served.definition;
  const definition = { ...served.definition, query: { ...query, sql: `${query.sql} -- the candidate` } };
  const added = await pool.query<{ number: number }>(
    `insert into tandem.model_versions (id, predictor, number, artifact_hash, definition)
     select $1, $4, max(number) + 1, $2, $3 from tandem.model_versions where predictor = $4 returning number`,
    [modelVersionId(definition), served.artifact_hash, JSON.stringify(definition), PREDICTOR],
  );
  const version = added.rows[0]?.number ?? 0;
  const plan = { kind: 'shadow' as const, version, share: 1, maxPerSecond: MAX_PER_SECOND };
  return (await createRolloutStore(pool).create({ predictor: PREDICTOR, plan, actor: 'bench' })).id;
}

async function setRunning({ pool }: BenchServers, rolloutId: string, isRunning: boolean): Promise<void> {
  const state = isRunning ? 'running' : 'preparing';
  await pool.query('update tandem.rollouts set state = $2 where id = $1', [rolloutId, state]);
}

async function countCompared({ pool }: BenchServers, rolloutId: string): Promise<number> {
  const { rows } = await pool.query<{ compared: number }>(
    `select coalesce(sum((counts ->> 'compared')::float8), 0) as compared from tandem.shadow_counts
     where rollout_id = $1 and segment = ''`,
    [rolloutId],
  );
  const compared = rows[0]?.compared ?? 0;
  if (compared === 0) throw new Error('the shadow compared nothing: what was measured is no shadow');
  return compared;
}

function figures(results: Readonly<Record<'with' | 'without', readonly LoadResult[]>>, compared: number): Figure[] {
  const of = (name: 'with' | 'without', value: (result: LoadResult) => number) => results[name].map(value);
  const ratio = (value: (result: LoadResult) => number) => {
    const without = of('without', value);
    return of('with', value).map((beside, i) => beside / (without[i] ?? Number.NaN));
  };
  const rate = (result: LoadResult) => result.requestsPerSecond;
  const p99 = (result: LoadResult) => result.p99Ms;
  const cpu = (result: LoadResult) => result.cpuMicros;
  return [
    figureOf('with a shadow / without, rate', 'ratio', ratio(rate), { least: 0.9 }),
    figureOf('with a shadow / without, p99', 'ratio', ratio(p99), { most: 1.25 }),
    figureOf('with a shadow / without, CPU of the server', 'ratio', ratio(cpu)),
    figureOf('with a shadow, rate', 'reads/s', of('with', rate)),
    figureOf('without, rate', 'reads/s', of('without', rate)),
    figureOf('with a shadow, p99', 'ms', of('with', p99)),
    figureOf('without, p99', 'ms', of('without', p99)),
    { name: 'answers compared', value: compared, unit: 'count' },
  ];
}
