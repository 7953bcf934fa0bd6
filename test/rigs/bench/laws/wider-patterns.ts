/**
 * Adopts wider event patterns for a predictor with many contexts while events arrive, over the event store as with HTTP
 * and in transactions of an application, some of which stay open for a while. An erasure, a publication and a rollback
 * happen during the rewrite. The rewrite is linear in the contexts, and an event waits for at most one batch. So half a
 * million contexts suffice to show the bound at a hundred million (`LAWS_CONTEXTS`).
 */
import { setTimeout as pause } from 'node:timers/promises';
import { adopt } from '@tandem/offline-store/adopt';
import { createEventStore } from '@tandem/offline-store/events/events';
import { rewriteContexts } from '@tandem/offline-store/events/pending-patterns';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool, query } from '@tandem/offline-store/sql/database';
import { createVisits, visitsPredictor } from '@tandem/offline-store/store.fixture';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import type { Figure } from '../section.ts';
import type { BenchServers } from '../service.ts';
import type { Law } from './law.ts';

type Pool = BenchServers['pool'];

const CONTEXTS = Number(process.env.LAWS_CONTEXTS ?? 500_000);
const MOST_MS = 200;
/** The time between the event and the commit in some transactions of the application. */
const OPEN_MS = 150;

export const widerPatterns: Law = {
  name: 'wider-patterns',
  promise: `no adoption, erasure, publication or rollback makes an event wait for ${MOST_MS} ms, at any number of contexts`,
  async measure({ env }, say) {
    const pool = createPool({ url: env.DATABASE_URL, max: 20, applicationName: 'law', statementTimeoutMs: 600_000 });
    try {
      return await measureOn(pool, say);
    } finally {
      await pool.end();
    }
  },
};

async function measureOn(pool: Pool, say: (line: string) => void): Promise<Figure[]> {
  await createVisits(pool, 1_000);
  await adoptPatterns(pool, ['order.*']);
  say(`seeding ${CONTEXTS} contexts`);
  await pool.query(`insert into tandem.user_contexts (user_id, version, touched)
    select n::text, 2, '{"visits": 1}' from generate_series(1, ${CONTEXTS}) n`);
  await pool.query('vacuum analyze tandem.user_contexts');
  await pool.query('checkpoint');
  await publish(pool);
  const events = startEvents(pool);
  await pause(2_000);
  const quietMs = events.longest();
  say('adopting wider patterns');
  const startedAt = performance.now();
  await adoptPatterns(pool, ['order.*', 'page.*']);
  const adoptionMs = performance.now() - startedAt;
  const moving = moveOthers(pool);
  while (await isPending(pool)) if ((await rewriteContexts(pool)) === 0) await pause(100);
  const seconds = (performance.now() - startedAt) / 1_000;
  await moving;
  await events.stop();
  const [left] = await query<{ count: number }>(pool, {
    text: `select count(*)::int as count from tandem.user_contexts
      where user_id::bigint <= ${CONTEXTS} and coalesce((touched ->> 'visits')::bigint, 0) < 2 and deleted_version = 0`,
  });
  return [
    { name: 'longest delay of an event', value: events.longest(), unit: 'ms', target: { most: MOST_MS } },
    { name: 'the same without any of it', value: quietMs, unit: 'ms' },
    { name: 'events sent', value: events.count(), unit: 'count' },
    { name: 'events that failed', value: events.failed(), unit: 'count', target: { most: 0 } },
    { name: 'contexts not rewritten', value: left?.count ?? Number.NaN, unit: 'count', target: { most: 0 } },
    { name: 'the adoption itself', value: adoptionMs, unit: 'ms', target: { most: 5_000 } },
    { name: 'until all contexts are rewritten', value: seconds, unit: 's', target: { most: 600 } },
  ];
}

function adoptPatterns(pool: Pool, events: readonly string[]) {
  const base = visitsPredictor();
  const policy = { ...base.policy, freshness: { ...base.policy.freshness, events } };
  return adopt(pool, { predictors: [{ ...base, policy }], actor: 'law' });
}

async function isPending(pool: Pool): Promise<boolean> {
  return (await query(pool, { text: 'select from tandem.predictors where patterns_pending' })).length > 0;
}

async function publish(pool: Pool): Promise<void> {
  const store = createRunStore(pool);
  const request = { predictor: 'visits', scope: { kind: 'all' }, reason: 'law', scheduleSlot: null } as const;
  const { run } = await store.create(request);
  await planNow(store, run.id);
  await pool.query(`update tandem.chunks set state = 'committed', scored = 100 where run_id = $1`, [run.id]);
  await publishNow(store, run.id);
}

/** Makes an erasure, a publication, a rollback and an adoption during the rewrite, each twice. */
async function moveOthers(pool: Pool): Promise<void> {
  const erasures = createErasureStore(pool);
  for (const userId of ['77', `${CONTEXTS - 1}`]) {
    const { tombstone } = await erasures.setTombstone(userId);
    await erasures.deleteRows([tombstone.number]);
    await publish(pool);
    await createGenerationStore(pool).rollBack({ predictor: 'visits', to: 1, actor: 'law' });
    await adoptPatterns(pool, ['order.*', 'page.*', `kind${userId}.*`]);
  }
}

/** Starts the senders of events. Each has users of its own, so that no sender waits for the row of another. */
function startEvents(pool: Pool) {
  let [isOver, longest, count, failed] = [false, 0, 0, 0];
  const timed = async (work: () => Promise<unknown>) => {
    const at = performance.now();
    await work().catch(() => failed++);
    longest = Math.max(longest, performance.now() - at);
    count++;
  };
  const store = createEventStore(pool);
  const loop = async (n: number, send: (userId: string, i: number) => Promise<unknown>) => {
    for (let i = 0; !isOver; i++) {
      await send(`${1 + (((i * 7_919 + n) * 16) % CONTEXTS) + n}`, i);
      await pause(10);
    }
  };
  const http = (userId: string, i: number) =>
    timed(() =>
      store.accept([{ source: 'law', id: `${userId}-${i}`, type: 'page.viewed', userId, time: null, data: null }]),
    );
  const sql = (openMs: number) => async (userId: string) => {
    const client = await pool.connect();
    try {
      await client.query('begin');
      await timed(() => client.query(`insert into tandem.events (user_id, type) values ($1, 'page.viewed')`, [userId]));
      await pause(openMs);
      await timed(() => client.query('commit'));
    } finally {
      client.release();
    }
  };
  const senders = [http, http, http, sql(0), sql(0), sql(OPEN_MS)].map((send, n) => loop(n, send));
  return {
    longest: () => longest,
    count: () => count,
    failed: () => failed,
    async stop() {
      isOver = true;
      await Promise.all(senders);
    },
  };
}
