/** Predictors that serve a model version of which no prediction is stored: until a run of all users, each read is live. */
import { STABLE } from '@tandem/freshness/rollout';
import { type Db, query } from '../sql/database.ts';

export interface AwaitedRun extends Record<string, unknown> {
  readonly predictor: string;
  /** The model version of the stable arm. */
  readonly modelNumber: number;
  /** Whether reads without a stored prediction are answered live. */
  readonly live: boolean;
  /** The run of all users that is under way; null if none is. */
  readonly runId: string | null;
}

/** By name. A predictor that rolled back or was promoted to a version with a generation is not among them. */
export async function findAwaitedRuns(db: Db): Promise<readonly AwaitedRun[]> {
  return query<AwaitedRun>(db, {
    text: `select p.name as predictor, v.number as "modelNumber", (p.policy -> 'freshness' ->> 'live')::boolean as live,
        (select r.id from tandem.runs r where r.predictor = p.name and r.model_version_id = v.id and r.scope = 'all'
          and r.state in ('planned', 'running', 'publishing') limit 1) as "runId"
      from tandem.predictors p
      join tandem.arms a on a.predictor = p.name and a.name = $1
      join tandem.model_versions v on v.id = a.model_version_id
      where p.active and a.generation_id is null order by p.name`,
    values: [STABLE],
  });
}
