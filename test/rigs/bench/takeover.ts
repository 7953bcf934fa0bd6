/**
 * Kills one of two workers with SIGKILL in the middle of a full run. The other worker takes over the chunks of the
 * killed worker once their leases expire, and finishes the run. Then checks that every user is scored once, and that
 * reads show it.
 */
import { type Client, createClient } from '@tandem/client/create-client';
import { isRunning, type ProcessIdentity, readProcess } from '@tandem/local-servers/process-identity';
import { isFinished, type Run } from '@tandem/prediction/runs/runs';
import { waitUntil } from '../../../libs/local-servers/process-identity.ts';
import { MANY } from './batch.ts';
import { FIRST_USER } from './predictors.ts';
import { treeOf } from './process-usage.ts';
import { countUsersInRedis } from './redis-memory.ts';
import { adoptTrees, openWorkerParts, type WorkerParts, waitForRun } from './run-everyone.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import { type BenchServers, type Program, startApi, startWorker } from './service.ts';

/** Shorter than the default of 30 s, so that the run spends less time waiting for leases. */
const LEASE_MS = 10_000;
/** The time within which an inference child notices that its worker has ended. */
const CHILDREN_END_WITHIN_MS = 10_000;
const LOADED_WITHIN_MS = 60_000;
const SAMPLE = 200;

export const takeover: Section = {
  name: 'takeover',
  async measure(servers, { manyUsers }, say) {
    await adoptTrees(servers, MANY, manyUsers);
    const parts = await openWorkerParts(servers);
    const api = await startApi(servers);
    const variables = { CHUNK_LEASE_MS: `${LEASE_MS}` };
    const [victim, survivor] = await Promise.all([startWorker(servers, variables), startWorker(servers, variables)]);
    try {
      const tandem = createClient({ url: api.url });
      const { id } = await tandem.runs.start({ predictor: MANY, scope: 'all' });
      await waitForRun(parts, id, (run) => run.chunksCommitted >= run.chunkCount / 2 && run.chunkCount > 0);
      const killed = await kill(servers, victim, id);
      say(`killed a worker that held ${killed.held.length} chunks`);
      const run = await waitForRun(parts, id, ({ state }) => isFinished(state));
      if (run.state !== 'done') throw new Error(`the run ended as ${run.state}: ${run.error}`);
      await expectEveryoneOnce(servers, run, manyUsers);
      const loadedMs = await expectEveryoneInRedis(servers, parts, run, manyUsers);
      await expectSameAsLive(tandem, manyUsers);
      say(`every user is in Postgres and, ${Math.round(loadedMs)} ms after that was seen, in Redis`);
      return await figuresOf(servers, run, killed);
    } finally {
      await Promise.all([victim.stop(), survivor.stop()]);
      await api.stop();
      await parts.close();
    }
  },
};

interface HeldChunk extends Record<string, unknown> {
  readonly no: number;
  readonly fence: number;
  readonly leaseUntil: Date;
}

interface Killed {
  readonly at: Date;
  /** The chunks that both workers held just after the kill. */
  readonly held: readonly HeldChunk[];
  /** The time until the last inference child of the killed worker had ended. */
  readonly childrenMs: number;
}

async function kill({ pool }: BenchServers, victim: Program, runId: string): Promise<Killed> {
  const family = [...treeOf([victim.pid])].map(readProcess).filter((one) => one !== undefined);
  if (family.length < 2) throw new Error('the worker had no inference child when it was to be killed');
  const killedAt = performance.now();
  await victim.kill();
  const { rows } = await pool.query<HeldChunk & { now: Date }>({
    text: `select no, fence, lease_until as "leaseUntil", clock_timestamp() as now from tandem.chunks
      where run_id = $1 and state = 'claimed'`,
    values: [runId],
  });
  const isOver = await waitUntil(() => !family.some((one: ProcessIdentity) => isRunning(one)), CHILDREN_END_WITHIN_MS);
  if (!isOver) throw new Error('inference children live on after their worker was killed');
  return { at: rows[0]?.now ?? new Date(), held: rows, childrenMs: performance.now() - killedAt };
}

/** Expects in Postgres one row for each user, and every chunk committed. */
async function expectEveryoneOnce({ pool }: BenchServers, run: Run, users: number): Promise<void> {
  const { rows } = await pool.query<{ rows: string; users: string; open: string }>({
    text: `select (select count(*) from tandem.predictions where generation_id = $1) as rows,
      (select count(distinct user_id) from tandem.predictions where generation_id = $1) as users,
      (select count(*) from tandem.chunks where run_id = $2 and state <> 'committed') as open`,
    values: [run.generationId, run.id],
  });
  const [found] = rows;
  const isComplete = Number(found?.rows) === users && Number(found?.users) === users && Number(found?.open) === 0;
  if (!isComplete) throw new Error(`of ${users} users the run left: ${JSON.stringify(found)}`);
}

/** Expects in Redis one field for each user, over all buckets. Returns the time that it waited for the loading, in ms. */
async function expectEveryoneInRedis(
  { env }: BenchServers,
  { generations, loader }: WorkerParts,
  run: Run,
  users: number,
): Promise<number> {
  const startedAt = performance.now();
  const generation = run.generationId === null ? undefined : await generations.find(run.generationId);
  if (!generation) throw new Error(`run ${run.id} left no generation`);
  const isLoaded = await waitUntil(() => loader.isLoaded(generation), LOADED_WITHIN_MS);
  if (!isLoaded) throw new Error(`Redis does not hold generation ${generation.id} as loaded`);
  const waitedMs = performance.now() - startedAt;
  const found = await countUsersInRedis(env.REDIS_URL, generation);
  if (found !== users) throw new Error(`Redis holds ${found} of ${users} users`);
  return waitedMs;
}

/** Expects that stored answers of a sample, read through the API, equal live answers. */
async function expectSameAsLive(tandem: Client, users: number): Promise<void> {
  const ids = Array.from({ length: SAMPLE }, () => `${FIRST_USER + Math.floor(Math.random() * users)}`);
  const stored = await tandem.predictMany(MANY, ids);
  const live = await tandem.predictMany(MANY, ids, { noCache: true });
  for (const [i, { userId, answer }] of stored.entries()) {
    const difference = Math.abs(Number(answer?.prediction.score) - Number(live[i]?.answer?.prediction.score));
    if (answer?.source === 'batch' && answer.reason === 'fresh' && difference < 1e-6) continue;
    throw new Error(`user ${userId}: stored answer ${JSON.stringify(answer)}, live ${JSON.stringify(live[i])}`);
  }
}

/** Computes the figures. All times are from Postgres' clock. */
async function figuresOf({ pool }: BenchServers, run: Run, { at, held, childrenMs }: Killed): Promise<Figure[]> {
  const { rows } = await pool.query<{ no: number; fence: number }>({
    text: 'select no, fence from tandem.chunks where run_id = $1',
    values: [run.id],
  });
  const fences = new Map(rows.map(({ no, fence }) => [no, fence]));
  // The surviving worker commits its own chunks with an unchanged fence.
  const orphans = held.filter(({ no, fence }) => (fences.get(no) ?? 0) > fence);
  if (orphans.length === 0) throw new Error('the killed worker held no chunk: nothing was taken over');
  const leaseEnd = Math.max(...orphans.map(({ leaseUntil }) => leaseUntil.getTime()));
  const finished = run.finishedAt?.getTime() ?? Number.NaN;
  return [
    figureOf('kill -9 of one of two workers: last lease to published', 's', [(finished - leaseEnd) / 1000], {
      most: 60,
    }),
    figureOf('the same: kill to published', 's', [(finished - at.getTime()) / 1000]),
    figureOf('chunks taken over', 'count', [orphans.length]),
    figureOf("end of the killed worker's inference children", 'ms', [childrenMs]),
  ];
}
