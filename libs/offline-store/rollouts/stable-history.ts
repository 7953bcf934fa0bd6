/** The history of stable model versions: tandem.stable_history, which a trigger on the arms writes. */
import type { StableVersion } from '@tandem/prediction/runs/run-store';
import { type Db, query } from '../sql/database.ts';

/**
 * Lists the periods of a predictor's stable arm, newest first. A period is the time between two changes of its model
 * version. `generation` is the kept generation of the version that the stable arm served last.
 */
export async function listStableVersions(db: Db, predictor: string, limit: number): Promise<readonly StableVersion[]> {
  return query<StableVersion>(db, {
    text: `select v.number as "modelNumber", p.since, p.until, kept.number as "generationNumber"
      from (
        select model_version_id, seq, at as since, lead(at) over (order by seq) as until
        from (
          select model_version_id, seq, at, lag(model_version_id) over (order by seq) as before
          from tandem.stable_history where predictor = $1) each_change
        where before is distinct from model_version_id
        order by seq desc limit $2) p
      join tandem.model_versions v on v.id = p.model_version_id
      left join lateral (
        select g.number from tandem.stable_history h
        join tandem.generations g on g.id = h.generation_id and g.state = 'published'
        where h.model_version_id = p.model_version_id order by h.seq desc limit 1) kept on true
      order by p.seq desc`,
    values: [predictor, limit],
  });
}
