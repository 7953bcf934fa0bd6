/**
 * Rewrites contexts after the rules of events grew, so that each user's last event concerns the predictor. Until then
 * readers use the user's version (rule-changes.ts), so the rewrite is not urgent. It runs in batches in the order of
 * the keys, each in a separate transaction. The row of the change stores the last rewritten user. Any worker continues
 * from there, and a further change starts from the first user.
 *
 * One pass is enough. It begins when no transaction under earlier rules is open. Later events set `touched` by the new
 * rules, in rewritten contexts and in new ones.
 */
import { setTimeout } from 'node:timers/promises';
import type pg from 'pg';
import { query, queryOne, transaction } from '../sql/database.ts';
import { lockAssignments } from '../sql/settings.ts';
import { settleEnded } from './rule-changes.ts';

/** The target duration of one transaction, since events of its users wait for it, and the number of its contexts. */
const BATCH_MS = 50;
const [FEWEST, MOST] = [100, 5_000];
/** The duration of one call, after which a worker may stop. */
const ROUND_MS = 2_000;

/**
 * Rewrites contexts for a limited time, and returns their number; 0 if none is left or an open transaction blocks the
 * rewrite.
 */
export async function rewriteContexts(pool: pg.Pool): Promise<number> {
  const deadline = performance.now() + ROUND_MS;
  let [rewritten, size] = [0, FEWEST];
  await settleEnded(pool);
  do {
    const startedAt = performance.now();
    const batch = await transaction(pool, (db) => rewriteBatch(db, size));
    const ms = performance.now() - startedAt;
    if (batch === undefined) break;
    rewritten += batch.rewritten;
    if (batch.isStuck) break;
    size = Math.round(Math.min(MOST, Math.max(FEWEST, (size * BATCH_MS) / ms)));
    // The pause leaves half of the time to events.
    await setTimeout(ms);
  } while (performance.now() < deadline);
  await clearFlags(pool);
  return rewritten;
}

/**
 * Rewrites the next contexts of one predictor, up to the first that another transaction has locked: an event must not
 * wait for a batch that waits for another event. Returns undefined if there is nothing to do or another worker does it.
 */
async function rewriteBatch(db: pg.PoolClient, size: number) {
  const [change] = await query<{ predictor: string; place: string }>(db, {
    text: `select predictor, rewritten_to as place from tandem.pending_rules where state = 'rewriting'
      order by number limit 1 for update skip locked`,
  });
  if (!change) return undefined;
  const { users, place, rewritten } = await queryOne<{ users: number; place: string | null; rewritten: number }>(db, {
    text: `with next as materialized (
        select user_id, version > coalesce((touched ->> $1)::bigint, 0) as is_behind from tandem.user_contexts
        where user_id > $2 collate "C" order by user_id limit $3
      ), held as materialized (
        select user_id from tandem.user_contexts where user_id = any (array(select user_id from next where is_behind))
        order by user_id for no key update skip locked
      ), others as (
        select min(user_id) as first from next where is_behind and user_id not in (select user_id from held)
      ), rewritten as (
        update tandem.user_contexts c set touched = c.touched || jsonb_build_object($1::text, c.version)
        from held where c.user_id = held.user_id returning c.user_id
      )
      select (select count(*) from next) as users, (select count(*) from rewritten) as rewritten,
        (select max(user_id) from next, others where first is null or user_id < first) as place`,
    values: [change.predictor, change.place, size],
  });
  await query(db, {
    text: `update tandem.pending_rules set rewritten_to = coalesce($2, rewritten_to), state = case when $3 then 'rewritten' else state end
      where predictor = $1`,
    values: [change.predictor, place, users === 0],
  });
  // It is stuck if another transaction has locked the next context.
  return { rewritten, isStuck: users > 0 && place === null };
}

/**
 * Clears the flag under the assignments' lock, like each change of predictors. It does not run in the transaction of a
 * batch, which locks contexts.
 */
async function clearFlags(pool: pg.Pool): Promise<void> {
  const isDone = `select from tandem.pending_rules where state = 'rewritten' limit 1`;
  if ((await query(pool, { text: isDone })).length === 0) return;
  await transaction(pool, async (db) => {
    await lockAssignments(db);
    await query(db, {
      text: `with done as (delete from tandem.pending_rules where state = 'rewritten' returning predictor)
        update tandem.predictors p set patterns_pending = false from done where p.name = done.predictor`,
    });
  });
}
