/** API, worker and inference children are killed repeatedly during a run of all users, under readers and writers. */
import type { Run } from '@tandem/client/wire';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Audience, startAudience } from './audience.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { killChild, type Program, running } from './program.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 20_000;
const CHUNK_SIZE = 100;
const CHUNKS = USERS / CHUNK_SIZE;
const KILLS = 9;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: CHUNK_SIZE } });
});
afterAll(() => deployment?.close());

const VICTIMS = ['api', 'worker', 'child of the api', 'child of the worker'] as const;

it('after kills of any process, each user is scored once, and no fresh answer is older than an acknowledged event', async () => {
  const random = seededRandom('killed processes');
  const kills = moments(random);
  let api = await deployment.startApi();
  let worker = await deployment.startWorker();
  const orphans: number[] = [];
  const { pool, wire } = deployment;
  const audience = startAudience({ pool, wire, urls: [api.url], users: USERS, random, mayBeGone: true });
  const { id } = await api.client.runs.start({ predictor: COUNT, scope: 'all' });

  const committed = chunksCommitted(id);
  async function kill(victim: (typeof VICTIMS)[number]): Promise<void> {
    const program = victim.endsWith('api') ? api : worker;
    if (victim.startsWith('child')) return killAnyChild(program, async () => (await committed()) === CHUNKS);
    orphans.push(...program.children());
    program.kill('SIGKILL');
    expect(await program.ended).toBe('SIGKILL');
    if (victim === 'api') api = await deployment.startApi({ port: api.port });
    else worker = await deployment.startWorker();
  }

  for (const [i, at] of kills.entries()) {
    await until(`${at} chunks are committed`, async () => (await committed()) >= at);
    await kill(VICTIMS[i % VICTIMS.length] ?? 'worker');
  }
  await until('the run has ended', async () => (await committed()) === CHUNKS);
  const run = await untilPublished(api, id);
  await untilSeenMore(audience, 200);
  await audience.stop();

  expect(run).toMatchObject({ state: 'done', usersScored: USERS, usersFailed: 0 });
  await expectEveryoneScoredOnce(id);
  await expectNobodyMissing(api);
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
  expect(audience.seen.acknowledged).toBeGreaterThan(50);
  await until('no inference child outlives its parent', () => running(orphans).length === 0, 5_000);
});

/** Returns the numbers of committed chunks at which a process is killed, in order. The kinds of processes alternate. */
function moments(random: () => number): number[] {
  return Array.from({ length: KILLS }, () => Math.floor(random() * (CHUNKS - 1))).sort((a, b) => a - b);
}

/**
 * Kills an inference child. Children start when they are needed, so a worker may have none once all users are scored.
 */
async function killAnyChild(program: Program, isAllScored: () => Promise<boolean>): Promise<void> {
  await until(`${program.name} has a child`, async () => program.children().length > 0 || (await isAllScored()));
  for (const child of program.children()) killChild(child);
}

function chunksCommitted(runId: string): () => Promise<number> {
  return async () => {
    const { rows } = await deployment.pool.query<{ n: number }>({
      text: `select count(*)::int as n from tandem.chunks where run_id = $1 and state = 'committed'`,
      values: [runId],
    });
    return rows[0]?.n ?? 0;
  };
}

function untilPublished({ client }: Api, runId: string): Promise<Run> {
  return until('the run is published', async () => {
    const run = await client.runs.show(runId);
    return run.finishedAt === null ? null : run;
  });
}

function untilSeenMore({ seen }: Audience, more: number): Promise<boolean> {
  const enough = seen.fresh + more;
  return until(`${more} more fresh answers`, () => seen.fresh >= enough);
}

async function expectEveryoneScoredOnce(runId: string): Promise<void> {
  const { rows } = await deployment.pool.query({
    text: `select count(*)::int as rows, count(distinct user_id)::int as users, g.state
      from tandem.predictions p join tandem.generations g on g.id = p.generation_id
      where g.run_id = $1 group by g.state`,
    values: [runId],
  });
  expect(rows).toEqual([{ rows: USERS, users: USERS, state: 'published' }]);
}

/** Expects for each user a fresh answer that counts all events. Unchanged users get it without an inference. */
async function expectNobodyMissing({ client }: Api): Promise<void> {
  const { rows: users } = await deployment.pool.query<{ userId: string; changes: number; version: number }>(
    `select c.user_id::text as "userId", c.changes, coalesce(x.version, 0)::int as version
     from counts c left join tandem.user_contexts x on x.user_id = c.user_id::text order by c.user_id`,
  );
  for (let i = 0; i < users.length; i += 1_000) {
    const page = users.slice(i, i + 1_000);
    const userIds = page.map(({ userId }) => userId);
    const results = await client.predictMany(COUNT, userIds, { onlyIfCached: i >= USERS / 10 });
    results.forEach(({ answer, problem }, at) => {
      expect(problem).toBeNull();
      const { changes = -1, version = -1 } = page[at] ?? {};
      expect(answer?.source).toBeOneOf(['batch', 'live']);
      expect(answer?.prediction.score).toBeLessThanOrEqual(changes);
      expect(answer?.predictedFromContextVersion).toBe(version);
      expect(answer?.prediction.score).toBeGreaterThanOrEqual(version);
    });
  }
}
