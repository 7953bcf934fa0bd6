/** The schedules of active predictors, an arm each that serves users, with the slot that it has run last. */
import type { Schedule, ScheduleStore } from '@tandem/prediction/runs/schedule-runs';
import type pg from 'pg';
import { query } from '../sql/database.ts';

export function createScheduleStore(pool: pg.Pool): ScheduleStore {
  return {
    async schedules() {
      const rows = await query<Schedule & { now: Date; predictor: string | null }>(pool, {
        text: `select clock_timestamp() as now, s.*
          from tandem.settings left join (
            select p.name as predictor, a.name as variant, p.policy -> 'batch' ->> 'schedule' as schedule,
              case when a.rollout_id is null then coalesce(l.last_slot, p.updated_at)
                else coalesce((select max(schedule_slot) from tandem.runs r
                  where r.predictor = p.name and r.model_version_id = a.model_version_id), o.created_at) end as after
            from tandem.predictors p
            join tandem.arms a on a.predictor = p.name
            left join tandem.rollouts o on o.id = a.rollout_id
            left join tandem.schedule_slots l on l.predictor = p.name
            where p.active and p.policy -> 'batch' ->> 'schedule' is not null
              and o.kind is distinct from 'shadow'
          ) s on true
          order by s.predictor, s.variant`,
      });
      const schedules = rows.flatMap(({ now: _now, ...schedule }) => (schedule.predictor === null ? [] : [schedule]));
      return { now: rows[0]?.now ?? new Date(0), schedules };
    },
  };
}
