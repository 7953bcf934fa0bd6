/** The schedules of active predictors, with the slot that each has run last. */
import type { ScheduleStore } from '@tandem/prediction/runs/schedule-runs';
import type pg from 'pg';
import { query } from './database.ts';

export function createScheduleStore(pool: pg.Pool): ScheduleStore {
  return {
    async schedules() {
      const rows = await query<{ now: Date; predictor: string | null; schedule: string; after: Date }>(pool, {
        text: `select clock_timestamp() as now, p.name as predictor, p.policy -> 'batch' ->> 'schedule' as schedule,
            coalesce(s.last_slot, p.updated_at) as after
          from tandem.settings left join tandem.predictors p on p.active and p.policy -> 'batch' ->> 'schedule' is not null
          left join tandem.schedule_slots s on s.predictor = p.name
          order by p.name`,
      });
      const schedules = rows.flatMap(({ predictor, schedule, after }) =>
        predictor === null ? [] : [{ predictor, schedule, after }],
      );
      return { now: rows[0]?.now ?? new Date(0), schedules };
    },
  };
}
