/**
 * Drops the values of contexts that have not changed for `context_horizon` (tandem.settings). Values are inputs of
 * predictions, so a drop makes predictions stale, as an event does: the same statement raises the context version, and
 * sets `touched` for each predictor that uses a dropped value. The row stays, because its version must never restart.
 *
 * An index on `updated_at` would make each event slower, so contexts are checked in the order of the key.
 */
import { IS_ERASED } from '../certificate/erased-users.ts';
import { type Db, queryOne } from '../sql/database.ts';
import { holdRules } from './rule-changes.ts';

/** The maximum number of contexts that a transaction checks. */
const CHECKED = 10_000;
/** The maximum number of contexts that a transaction drops. Events of their users wait. */
const DROPPED = 1_000;
/** SQL: whether context `c` has values to drop. An erased user stays erased: another version would be a readmission. */
const IS_OLD = `c.updated_at < (select clock_timestamp() - context_horizon from tandem.settings)
  and c.features <> '{}' and not (${IS_ERASED})`;

/**
 * Checks the next contexts in the order of the key, and drops the values of old contexts. A locked context is skipped,
 * because another transaction is changing it. A drop writes no row to the outbox: a user without recent events need not
 * be re-scored.
 *
 * The version rises by two, and `touched` is set to the version in between. If both were equal, the measure of delays
 * (visible-delays.ts) would take the drop for an event.
 * @param from the last checked user, as the only element; null starts with the first user
 * @returns the number of dropped contexts, whether the round has ended, and the next `from`
 */
export async function dropContextValues(db: Db, from: readonly string[] | null) {
  await holdRules(db);
  const { rows, isCut, last } = await queryOne<{ rows: number; isCut: boolean; last: string | null }>(db, {
    text: `with rules as materialized (
        select name, array(select jsonb_object_keys(event_features)) as features from tandem.predictors
      ), seen as materialized (
        select c.user_id, ${IS_OLD} as is_old from tandem.user_contexts c
        where c.user_id > $1 and (select context_horizon is not null from tandem.settings) order by c.user_id limit ${CHECKED}
      ), old as materialized (
        select user_id from seen where is_old order by user_id limit ${DROPPED}
      ), locked as materialized (
        select c.user_id from tandem.user_contexts c where c.user_id = any (array(select user_id from old)) and ${IS_OLD}
        order by c.user_id for update skip locked
      ), dropped as (
        update tandem.user_contexts c set version = c.version + 2, features = '{}', updated_at = clock_timestamp(),
          touched = c.touched || (select coalesce(jsonb_object_agg(name, c.version + 1), '{}')
            from rules r where c.features ?| r.features),
          demanded = c.demanded - array(select name from rules r where c.features ?| r.features)
        from locked l where c.user_id = l.user_id returning 1
      )
      select (select count(*) from dropped) as rows, old.n = ${DROPPED} as "isCut",
        case when old.n = ${DROPPED} then old.last when seen.n = ${CHECKED} then seen.last end as last
      from (select count(*) as n, max(user_id) as last from seen) seen,
        (select count(*) as n, max(user_id) as last from old) old`,
    values: [from?.[0] ?? ''],
  });
  return { rows, isDone: !isCut, next: last === null ? null : [last] };
}
