/** Which tables are watched, and whether their triggers are all there. */
import { type Db, query } from './database.ts';
import { OPERATIONS, triggerName } from './watch-trigger.ts';

export interface WatchedSource {
  readonly id: number;
  /** `schema.table` as it is called now; as it was called when it was watched, where it is gone. */
  readonly name: string;
  readonly key: string | null;
  readonly columns: readonly string[] | null;
  readonly predictors: readonly string[];
  readonly maxUsers: number;
  /** Triggers that are missing or disabled, as `table: trigger`; of a table that is gone, the table alone. */
  readonly broken: readonly string[];
}

export function listWatchedSources(db: Db): Promise<readonly WatchedSource[]> {
  return query<WatchedSource & Record<string, unknown>>(db, {
    text: `select w.id, coalesce(t.name, w.name) as name, w.key, w.columns, w.predictors, w.max_users as "maxUsers",
        case when t.oid is null then array[w.name] else array(
          with recursive family(oid) as (
            select t.oid union select i.inhrelid from pg_inherits i join family f on f.oid = i.inhparent
          )
          select format('%s: %s', f.oid::regclass, o.trigger) from family f, unnest($1::text[]) as o(trigger)
          where not exists (select from pg_trigger g where g.tgrelid = f.oid and g.tgname = o.trigger
            and g.tgfoid = to_regproc('tandem.watch_' || w.id) and g.tgenabled in ('O', 'A'))
          order by 1) end as broken
      from tandem.watched_sources w
      -- The table itself, of all that have the triggers, is the one that has no parent.
      left join lateral (
        select c.oid, format('%I.%I', n.nspname, c.relname) as name
        from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where g.tgfoid = to_regproc('tandem.watch_' || w.id)
          and not exists (select from pg_inherits i where i.inhrelid = c.oid) limit 1) t on true
      order by 2`,
    values: [OPERATIONS.map(triggerName)],
  });
}
