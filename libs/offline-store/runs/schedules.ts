/** The schedules of active predictors, for each arm that serves users, with the last slot that was run. */

import { STABLE } from '@tandem/freshness/rollout';
import type { Schedule, ScheduleStore } from '@tandem/prediction/runs/schedule-runs';
import type pg from 'pg';
import { IS_LIVE_ONLY } from '../models/model-versions.ts';
import { type Db, query } from '../sql/database.ts';

export function createScheduleStore(pool: pg.Pool): ScheduleStore {
  return {
    async schedules() {
      const rows = await query<Schedule & { now: Date; predictor: string | null }>(pool, {
        text: `select clock_timestamp() as now, s.*
          from tandem.settings left join (
            select p.name as predictor, a.name as variant, k.schedule, k.changed as "isOfChanged",
              case when k.changed or p.policy -> 'batch' ->> 'changedSchedule' is null
                then p.policy -> 'batch' -> 'budget' end as budget,
              case when a.rollout_id is null
                then coalesce(greatest(l.last_slot, case when k.changed then c.last_slot end), p.updated_at)
                else coalesce((select max(schedule_slot) from tandem.runs r
                  where r.predictor = p.name and r.model_version_id = a.model_version_id
                    and (k.changed or not r.of_changed)), o.created_at) end as after
            from tandem.predictors p
            cross join lateral (values (false, p.policy -> 'batch' ->> 'schedule'),
              (true, p.policy -> 'batch' ->> 'changedSchedule')) k(changed, schedule)
            join tandem.arms a on a.predictor = p.name
            left join tandem.rollouts o on o.id = a.rollout_id
            left join tandem.schedule_slots l on l.predictor = p.name
            left join tandem.changed_slots c on c.predictor = p.name
            where p.active and k.schedule is not null
              and o.kind is distinct from 'shadow'
          ) s on true
          order by s.predictor, s.variant, s."isOfChanged"`,
      });
      const schedules = rows.flatMap(({ now: _now, ...schedule }) => (schedule.predictor === null ? [] : [schedule]));
      return { now: rows[0]?.now ?? new Date(0), schedules };
    },
  };
}

// A predictor may serve a model version without stored predictions. Until a run of all users, each read is then live.

export interface AwaitedRun {
  readonly predictor: string;
  /** The model version of the stable arm. */
  readonly modelNumber: number;
  /** Whether reads without a stored prediction are inferred live. */
  readonly live: boolean;
  /** The unfinished run of all users; null if there is none. */
  readonly runId: string | null;
}

/**
 * Returns by name the predictors that wait for a run. A predictor that was rolled back or promoted to a version with a
 * generation does not wait.
 */
export async function findAwaitedRuns(db: Db): Promise<readonly AwaitedRun[]> {
  return query<AwaitedRun>(db, {
    text: `select p.name as predictor, v.number as "modelNumber", (p.policy -> 'freshness' ->> 'live')::boolean as live,
        (select r.id from tandem.runs r where r.predictor = p.name and r.model_version_id = v.id and r.scope = 'all'
          and r.state in ('planned', 'running', 'publishing') limit 1) as "runId"
      from tandem.predictors p
      join tandem.arms a on a.predictor = p.name and a.name = $1
      join tandem.model_versions v on v.id = a.model_version_id
      where p.active and a.generation_id is null and not ${IS_LIVE_ONLY}
      order by p.name`,
    values: [STABLE],
  });
}
