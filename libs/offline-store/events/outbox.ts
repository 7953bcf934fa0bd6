/** The outbox: versions that committed events raised and that the online store may not know yet. */
import type { Outbox, OutboxEntry } from '@tandem/prediction/events/relay-outbox';
import type pg from 'pg';
import { query } from '../sql/database.ts';

/** Names kept of those that no predictor uses: whoever sends a new one each time must not fill the table. */
const MAX_UNUSED_NAMES = 1_000;

export function createOutbox(pool: pg.Pool): Outbox {
  return {
    async read(limit) {
      const rows = await query<{ history: string; seq: number | null; userId: string; version: number }>(pool, {
        text: `select h.history, o.seq, o.user_id as "userId", o.context_version as version
          from (select tandem.current_history() as history offset 0) h
          left join lateral (select * from tandem.outbox order by seq limit $1) o on true order by o.seq`,
        values: [limit],
      });
      const entries = rows.flatMap(({ seq, userId, version }): OutboxEntry[] =>
        seq === null ? [] : [{ seq, userId, version }],
      );
      return { history: rows[0]?.history ?? '', entries };
    },

    /** Counts the unused names of the entries that this call removed, each once. */
    async remove(seqs) {
      await query(pool, {
        text: `with gone as (delete from tandem.outbox where seq = any($1::bigint[]) returning unused_names),
          counted as (select name, count(*) as events from gone, unnest(unused_names) as u(name) group by name)
          insert into tandem.unused_event_names as n (name, events)
          select name, events from counted
          where exists (select from tandem.unused_event_names k where k.name = counted.name)
            or (select count(*) from tandem.unused_event_names) < $2
          order by name
          on conflict (name) do update set events = n.events + excluded.events, last_seen = clock_timestamp()`,
        values: [seqs, MAX_UNUSED_NAMES],
      });
    },
  };
}
