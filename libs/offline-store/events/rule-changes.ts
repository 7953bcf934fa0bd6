/**
 * Changes the rules of events. A transaction that sends an event applies the rules that it read, and may commit after
 * they changed. A stored prediction could then be called fresh although the event concerns it by the new rules. Events
 * never wait for a change. The change commits first, and is settled when all transactions with earlier rules have
 * ended. Each such transaction holds a shared advisory lock from before it reads the rules until its end, so open ones
 * are known (test/rigs/model-check/models/event-rules.ts).
 *
 * - For a predictor that is served, `setPatternsPending` sets a flag in the same transaction. While it is set, every
 *   reader uses the user's version instead of `touched`. Contexts are rewritten in the background
 *   (pending-patterns.ts).
 * - A new predictor, or features of a new version, are announced first, and served when the announcement is settled. No
 *   older prediction can be stored, so nothing is rewritten.
 */
import { setTimeout } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { type Db, execute, query, sqlState, transaction } from '../sql/database.ts';
import { lockAssignments } from '../sql/settings.ts';
import { changeRows, databaseNow, statements } from '../sql/statements.ts';

/** The advisory lock of migrations/0004, which the trigger acquires. */
const LOCK = '1413567556, 1163284052';
/**
 * How long other transactions wait behind a change for a lock of an open transaction. After that, the change backs off
 * and retries.
 */
const QUEUE_MS = 100;
const PAUSE_MS = 50;
const WAIT_MS = 15_000;

/** Thrown to roll back the transaction, which is then retried. */
class EventsUnderWay extends Error {
  constructor(cause: unknown) {
    super('transactions that sent events are open', { cause });
  }
}

/**
 * Thrown to roll back a transaction that needs rules which concurrent events may not know. `announce` publishes the
 * rules.
 */
export class UnsettledRules extends Error {
  readonly announce: (db: Db) => Promise<void>;

  constructor(announce: (db: Db) => Promise<void> = async () => {}) {
    super('open transactions may not know the rules of events');
    this.announce = announce;
  }
}

/**
 * Runs a transaction that changes rules or needs settled rules. Retries it for up to `waitMs` while transactions that
 * sent events block it. After that, rejects with `unavailable` and names one of them.
 */
export async function changeEventRules<T>(
  pool: pg.Pool,
  work: (db: pg.PoolClient) => Promise<T>,
  waitMs: number = WAIT_MS,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  const leftMs = () => deadline - performance.now();
  for (;;) {
    try {
      return await transaction(pool, work);
    } catch (error) {
      if (!(error instanceof EventsUnderWay || error instanceof UnsettledRules)) throw error;
      if (leftMs() <= PAUSE_MS) throw await inTheWay(pool, waitMs, error);
      if (error instanceof UnsettledRules) {
        await changeEventRules(pool, (db) => lockAssignments(db).then(() => error.announce(db)), leftMs());
        if (!(await trySettling(pool, leftMs()))) throw await inTheWay(pool, waitMs, error);
      } else await setTimeout(PAUSE_MS);
    }
  }
}

/**
 * Records in the transaction of the change that rules of these predictors changed. The caller holds the assignments'
 * lock.
 */
export async function openRules(db: Db, predictors: readonly string[]): Promise<void> {
  await query(db, {
    text: `insert into tandem.pending_rules (predictor) select p from unnest($1::text[]) as u(p) order by p
      on conflict (predictor) do update set number = default, state = 'open', senders = null, rewritten_to = ''`,
    values: [predictors],
  });
  await noteChange(db);
}

/**
 * Sets the flag: from its commit on, readers use each user's version as the concerning version. By new rules any
 * earlier event may concern the predictor, and the log of events does not go back beyond the horizon. Workers rewrite
 * the contexts, and then clear the flag. Rejects with `unavailable` while a process of a release without the flag is
 * alive.
 */
export async function setPatternsPending(db: Db, predictor: string): Promise<void> {
  await refuseBesideEarlierRelease(db);
  const known = statements.updateTable('tandem.predictors').where('name', '=', predictor);
  await changeRows(db, known.set({ patterns_pending: true }));
  await openRules(db, [predictor]);
}

/**
 * Rejects the change while a process of an earlier release is running. Such a process does not report its limit of
 * connections, which was added in migration 0055, after the flag.
 */
async function refuseBesideEarlierRelease(db: Db): Promise<void> {
  const [earlier] = await query<{ kind: string; host: string; pid: number; release: string }>(db, {
    text: `select kind, host, pid, release from tandem.processes
      where connections is null and seen_at > clock_timestamp() - interval '10 s' order by started_at limit 1`,
  });
  if (!earlier) return;
  const { kind, host, pid, release } = earlier;
  throw new TandemError(
    'unavailable',
    `A process of an earlier release is running (${kind} ${release}, process ${pid} on ${host}). It does not know that event patterns or features have grown, and would serve stale predictions as fresh.`,
    { retryAfter: 10, remedy: 'end the upgrade first: stop that process, or start it on this release; then retry' },
  );
}

/** Throws if a predictor without the flag has rules that open transactions may not know. */
export async function requireSettled(db: Db, predictor: string): Promise<void> {
  if ((await listUnsettled(db)).includes(predictor)) throw new UnsettledRules();
}

/** Requires rules for each predictor. Missing rules are announced together, with one wait for all. */
export async function requireAll<T>(items: readonly T[], require: (item: T) => Promise<void>): Promise<void> {
  const unsettled: UnsettledRules[] = [];
  for (const item of items) {
    await require(item).catch((error: unknown) => {
      if (!(error instanceof UnsettledRules)) throw error;
      unsettled.push(error);
    });
  }
  if (unsettled.length === 0) return;
  throw new UnsettledRules(async (db) => {
    for (const { announce } of unsettled) await announce(db);
  });
}

/**
 * Waits until no transaction is open that may use earlier rules of these predictors. Rejects with `unavailable` and
 * names such a transaction.
 */
export async function settleRules(pool: pg.Pool, predictors: readonly string[]): Promise<void> {
  const unsettled = await listUnsettled(pool);
  if (!predictors.some((name) => unsettled.includes(name))) return;
  if (!(await trySettling(pool, WAIT_MS))) throw await inTheWay(pool, WAIT_MS);
}

/** Returns the predictors with unsettled rules. Predictors with the flag do not depend on them. */
async function listUnsettled(db: Db): Promise<readonly string[]> {
  const open = await query<{ name: string }>(db, {
    text: `select p.name from tandem.pending_rules r join tandem.predictors p on p.name = r.predictor
      where r.state = 'open' and not p.patterns_pending`,
  });
  return open.map(({ name }) => name);
}

async function trySettling(pool: pg.Pool, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    await settleEnded(pool);
    if ((await listUnsettled(pool)).length === 0) return true;
    if (performance.now() + PAUSE_MS >= deadline) return false;
    await setTimeout(PAUSE_MS);
  }
}

/**
 * Settles the changes without an earlier open transaction. Open transactions are looked up once for each change, in a
 * statement that sees the change: a transaction that acquires the lock later also reads the rules later. Changes are
 * processed in the order of their numbers, so that a concurrent change is also found.
 */
export async function settleEnded(pool: pg.Pool): Promise<void> {
  const open = await query(pool, { text: `select from tandem.pending_rules where state = 'open' limit 1` });
  if (open.length === 0) return;
  await execute(pool, {
    text: `update tandem.pending_rules r set senders = array(select l.virtualtransaction ${SENDERS})
      from (select number from tandem.pending_rules where state = 'open' and senders is null) seen where r.number = seen.number`,
  });
  // After PREPARE TRANSACTION, a transaction has another virtual id and no process.
  await execute(pool, {
    text: `with ended as materialized (
        select r.number, p.patterns_pending from tandem.pending_rules r join tandem.predictors p on p.name = r.predictor
        where r.state = 'open' and r.senders is not null
          and not exists (select ${SENDERS} and (l.virtualtransaction = any(r.senders) or l.pid is null))
      ), settled as (
        update tandem.pending_rules r set state = 'rewriting' from ended where r.number = ended.number and ended.patterns_pending
      )
      delete from tandem.pending_rules r using ended where r.number = ended.number and not ended.patterns_pending`,
  });
}

const SENDERS = `from pg_locks l where l.locktype = 'advisory' and l.granted and (l.classid, l.objid) = (${LOCK})
  and l.database = (select oid from pg_database where datname = current_database())`;

/**
 * Holds the rules that later statements of the transaction read until it ends, as an event does. Call it before other
 * locks.
 */
export function holdRules(db: Db): Promise<unknown> {
  return query(db, { text: `select pg_advisory_xact_lock_shared(${LOCK})` });
}

/**
 * Blocks events until the end of the transaction, to change the type of user ids, which events are checked against. The
 * caller holds only the assignments' lock.
 */
export async function lockEvents(db: Db): Promise<void> {
  await queueBriefly(db, () => query(db, { text: `select pg_advisory_xact_lock(${LOCK})` }));
  await noteChange(db);
}

/**
 * Updates the row that senders of events lock, so that a transaction with a snapshot from before this change fails when
 * it sends an event. Waits for transactions that have already sent events.
 */
function noteChange(db: Db): Promise<unknown> {
  const rules = statements.updateTable('tandem.event_rules').set({ changed_at: databaseNow() });
  return queueBriefly(db, () => changeRows(db, rules));
}

async function queueBriefly(db: Db, work: () => Promise<unknown>): Promise<void> {
  const [before] = await query<{ limit: string }>(db, { text: `select current_setting('lock_timeout') as limit` });
  const limit = (value: string) => query(db, { text: `select set_config('lock_timeout', $1, true)`, values: [value] });
  await limit(`${QUEUE_MS}ms`);
  await work().catch((error: unknown) => {
    throw sqlState(error) === '55P03' ? new EventsUnderWay(error) : error;
  });
  await limit(before?.limit ?? '0');
}

/** Returns the error, whose detail names the session that has blocked the longest. */
async function inTheWay(pool: pg.Pool, waitMs: number, cause?: unknown): Promise<TandemError> {
  const [oldest] = await query<{ pid: number; application: string; seconds: number }>(pool, {
    text: `select s.pid, s.application_name as application, extract(epoch from clock_timestamp() - s.xact_start)::int as seconds
      ${SENDERS.replace('pg_locks l', 'pg_locks l join pg_stat_activity s using (pid)')} order by s.xact_start limit 1`,
  });
  const seconds = Number((waitMs / 1000).toFixed(1));
  return new TandemError('unavailable', `The change waited ${seconds} s for transactions that have sent events.`, {
    cause,
    detail: oldest ?? 'it has ended since',
    retryAfter: 5,
    remedy:
      'let the application commit soon after it sends an event, or end its session (pg_stat_activity shows it); then retry',
  });
}
