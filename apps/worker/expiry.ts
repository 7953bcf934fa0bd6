/** Deletes what is only remembered for a time: events and their ids, past the event horizon. */
import { type Db, execute } from '@tandem/offline-store/database';

/** Of each table in a round: so little that nobody waits for it, and more than any hour brings in a minute. */
const ROWS_A_ROUND = 50_000;

/**
 * An event older than the horizon is refused, so its id need not be known any more. Several workers may do this at once:
 * rows that another has locked are left to it.
 * @returns how many rows were deleted
 */
export async function expireEvents(db: Db): Promise<number> {
  let deleted = 0;
  for (const table of ['events', 'event_ids'] as const) {
    const { rowCount } = await execute(db, {
      text: `delete from tandem.${table} where ctid in (
          select ctid from tandem.${table}
          where accepted_at < clock_timestamp() - (select event_horizon from tandem.settings) - interval '1 hour'
          limit $1 for update skip locked)`,
      values: [ROWS_A_ROUND],
    });
    deleted += rowCount ?? 0;
  }
  return deleted;
}
