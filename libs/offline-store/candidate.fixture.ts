/** Adds a second model version in an arm by plain rows, for tests that need an arm without a real rollout. */
import { modelVersionId } from '@tandem/freshness/predictor';
import type pg from 'pg';
import type { PredictorToAdopt } from './adopt.ts';
import { insertArtifact } from './models/artifacts.ts';

/** Inserts the model version with number 2 and its arm. Returns the id of the version. */
export async function insertCandidate(
  pool: pg.Pool,
  { name, artifact, definition }: Pick<PredictorToAdopt, 'name' | 'artifact' | 'definition'>,
  { state = 'preparing', endBucket = 0 }: { state?: 'preparing' | 'running'; endBucket?: number } = {},
): Promise<string> {
  await insertArtifact(pool, definition.artifactHash, artifact);
  const id = modelVersionId(definition);
  await pool.query(
    'insert into tandem.model_versions (id, predictor, number, artifact_hash, definition) values ($1, $2, 2, $3, $4)',
    [id, name, definition.artifactHash, JSON.stringify(definition)],
  );
  await pool.query(
    `with made as (
        insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by)
        values ($1, 1, 'canary', $2, 'salt', '{}', 1, 'test') returning id)
      insert into tandem.arms (predictor, name, model_version_id, overlay_floor, rollout_id, first_bucket, end_bucket)
      select $1, 'candidate', $3, 1, id, 0, $4 from made`,
    [name, state, id, endBucket],
  );
  return id;
}
