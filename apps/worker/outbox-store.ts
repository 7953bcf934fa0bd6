/** The outbox in Postgres: the versions that events raised and that Redis may not know yet. */
import { type Db, query } from '@tandem/offline-store/database';
import type { Outbox } from '@tandem/prediction/relay-outbox';

interface Row extends Record<string, unknown> {
  readonly history: string;
  readonly seq: number | null;
  readonly userId: string;
  readonly version: number;
}

/** Whoever sends events may invent names: they must not fill a table. */
const MOST_NAMES = 1_000;
const LONGEST_NAME = 128;

export function createOutbox(db: Db): Outbox {
  return {
    async read(limit) {
      const rows = await query<Row>(db, {
        text: `select tandem.current_history() as history, o.seq, o.user_id as "userId", o.context_version as version
          from (select 1) as always left join (select * from tandem.outbox order by seq limit $1) o on true order by o.seq`,
        values: [limit],
      });
      const entries = rows.flatMap(({ seq, userId, version }) => (seq === null ? [] : [{ seq, userId, version }]));
      return { history: rows[0]?.history ?? '', entries };
    },
    // Of several relays that delete the same row one does, so each unused name is counted once.
    async remove(seqs) {
      await query(db, {
        text: `with gone as (delete from tandem.outbox where seq = any($1::bigint[]) returning unused_names),
          named as (
            select name, count(*) as events from gone, unnest(unused_names) as name
            where octet_length(name) between 1 and ${LONGEST_NAME} group by name)
          insert into tandem.unused_event_names as known (name, events)
          select name, events from named
          where exists (select from tandem.unused_event_names where name = named.name)
            or (select count(*) from tandem.unused_event_names) < ${MOST_NAMES}
          order by name
          on conflict (name) do update set events = known.events + excluded.events, last_seen = clock_timestamp()`,
        values: [seqs],
      });
    },
  };
}
