/** How large the chunks of a run are to be: by what the last run of its kind took. */
import { type ChunkSizes, type MeasuredRun, sizeChunks } from '@tandem/prediction/runs/chunk-sizes';
import type { Run } from '@tandem/prediction/runs/runs';
import { type Db, query } from '../sql/database.ts';

/** @param most users of a chunk, as the predictor's policy says */
export async function findChunkSizes(db: Db, run: Pick<Run, 'predictor' | 'scope'>, most: number): Promise<ChunkSizes> {
  const [measured] = await query<MeasuredRun>(db, {
    text: `select (sum(c.scored + c.failed) / sum(extract(epoch from c.committed_at - c.claimed_at)))::float8 as "usersPerSecond",
        extract(epoch from max(c.committed_at) - min(c.claimed_at))::float8 as seconds, sum(c.scored + c.failed)::float8 as users
      from tandem.chunks c
      where c.committed_at > c.claimed_at and c.run_id = (
        select r.id from tandem.runs r where r.predictor = $1 and r.scope = $2 and r.state in ('done', 'done_with_errors')
        order by r.created_at desc limit 1)
      having count(*) > 0`,
    values: [run.predictor, run.scope],
  });
  return sizeChunks(measured ?? null, most);
}
