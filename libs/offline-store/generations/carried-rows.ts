/**
 * Carries rows over into a generation with a base, before it is published: rows of the current generation for users
 * that the run did not score. Without them, those users would return to older rows of the base. A label stays true in
 * any generation.
 *
 * Rows of a generation whose run recorded a lower source version are not carried over: a bulk change made them stale,
 * which the new generation would hide. Rows of erased users are not carried over either. An erasure deletes rows only
 * from published generations; this generation is cleared later (erased-predictions.ts).
 */
import type { Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { cancellable } from '../features/cancellable.ts';
import { countChanged, type Db, query, queryFirst } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { fetchFirst, statements } from '../sql/statements.ts';

/** The time limit of the index. */
const TIMEOUT_MS = 1_800_000;

/**
 * Carries rows over, and counts the users that the base still serves. Does nothing for a full generation, or for a
 * generation that is no longer being built, since its worker may have lost the step long ago. Safe to repeat, even
 * concurrently. It must run after the comparison, which compares only users that the run scored and builds the index of
 * the generation's partition.
 */
export async function carryRows(pool: pg.Pool, { generationId }: Run, lost: AbortSignal): Promise<void> {
  const layers = generationId === null ? undefined : await findLayers(pool, generationId);
  if (!layers) return;
  await cancellable(pool, { timeoutMs: TIMEOUT_MS, signal: lost }, async (db) => {
    if (!(await lockBuilding(db, layers.id))) return;
    const carried = layers.before === null ? 0 : await carry(db, layers.id, layers.before);
    await query(db, {
      // The users of the base are already counted, so this statement only looks up this generation's rows in the base.
      text: `update tandem.generations g set carried_users = g.carried_users + $2, users_left = b.users - (
          select count(*) from ${partitionOf(layers.id)} o cross join lateral (
            select from ${partitionOf(layers.baseId)} where user_id = o.user_id offset 0) below)
        from tandem.generations b where g.id = $1 and b.id = g.base_id`,
      values: [layers.id, carried],
      timeoutMs: TIMEOUT_MS,
    });
  });
}

/**
 * Locks the generation: until the transaction ends, no other worker carries rows over, and the generation is neither
 * published nor dropped. Returns false if it is no longer being built.
 */
async function lockBuilding(db: Db, id: string): Promise<boolean> {
  const building = statements.selectFrom('tandem.generations').where(({ and }) => and({ id, state: 'building' }));
  return (await fetchFirst(db, building.forNoKeyUpdate())) !== undefined;
}

interface Layers {
  readonly id: string;
  readonly baseId: string;
  /** The current generation if it has the same base and the same bulk changes; else null. */
  readonly before: string | null;
}

function findLayers(db: Db, generationId: string): Promise<Layers | undefined> {
  return queryFirst<Layers>(db, {
    text: `select g.id, g.base_id as "baseId", (
        select o.id from tandem.arms a join tandem.generations o on o.id = a.generation_id
        join tandem.runs before on before.id = o.run_id
        where a.predictor = g.predictor and a.model_version_id = g.model_version_id and o.base_id = g.base_id
          and o.id <> g.id and before.source_version = r.source_version) as before
      from tandem.generations g join tandem.runs r on r.id = g.run_id where g.id = $1 and g.base_id is not null`,
    values: [generationId],
  });
}

function carry(db: Db, generationId: string, before: string): Promise<number> {
  return countChanged(db, {
    text: `insert into ${partitionOf(generationId)} (generation_id, computed_at, user_id, context_version, outputs)
      select $1, p.computed_at, p.user_id, p.context_version, p.outputs from ${partitionOf(before)} p
      where not exists (select from tandem.user_contexts c
        where c.user_id = p.user_id and c.deleted_version > 0 and c.deleted_version >= p.context_version)
      on conflict (user_id) do nothing`,
    values: [generationId],
    timeoutMs: TIMEOUT_MS,
  });
}
