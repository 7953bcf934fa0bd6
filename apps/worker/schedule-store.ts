/** Schedules as Postgres has them: of active predictors, with the slot that each ran last, by the database's clock. */
import { type Db, query } from '@tandem/offline-store/database';
import type { ScheduleStore } from '@tandem/prediction/schedule-runs';

interface Row extends Record<string, unknown> {
  readonly now: Date;
  readonly predictor: string | null;
  readonly schedule: string;
  readonly after: Date;
}

export function createScheduleStore(db: Db): ScheduleStore {
  return {
    async schedules() {
      // A schedule that never ran counts from the moment its policy was adopted: nothing is due before its first slot.
      const rows = await query<Row>(db, {
        text: `select clock_timestamp() as now, p.name as predictor, p.policy #>> '{batch,schedule}' as schedule,
            coalesce((select max(r.schedule_slot) from tandem.runs r where r.predictor = p.name), p.updated_at) as after
          from (select 1) as always
          left join tandem.predictors p on p.active and p.policy #>> '{batch,schedule}' is not null
          order by p.name`,
      });
      const now = rows[0]?.now ?? new Date(0);
      const schedules = rows.flatMap(({ predictor, schedule, after }) =>
        predictor === null ? [] : [{ predictor, schedule, after }],
      );
      return { now, schedules };
    },
  };
}
