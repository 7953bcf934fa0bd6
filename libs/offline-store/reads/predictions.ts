/**
 * Finds stored predictions in Postgres, for reads that found none in Redis. Such a read is already certified and can
 * still infer live, so it waits for rows for a shorter time than a statement may take.
 */
import type { AssignedGeneration, Assignment } from '@tandem/freshness/certificate';
import type { StoredPrediction, StoredPredictions } from '@tandem/freshness/stored-prediction';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { type Db, epochMs, query, sqlState } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';

interface StoredPredictionsOptions {
  /** The time limit of a lookup in ms, after which `find` rejects with `unavailable`. */
  readonly withinMs?: number;
}

/** The default time limit. A lookup takes 1 ms, for a thousand users 10 ms. */
const WITHIN_MS = 500;

export function createStoredPredictions(
  pool: pg.Pool,
  { withinMs = WITHIN_MS }: StoredPredictionsOptions = {},
): StoredPredictions {
  return {
    async find(assignment, userIds) {
      const { generation } = assignment;
      const rows = await findRows(pool, assignment, userIds, generation, withinMs).catch((error: unknown) => {
        // A layer was dropped after it was assigned. The overlay may still have predictions.
        if (generation && sqlState(error) === '42P01') return findRows(pool, assignment, userIds, null, withinMs);
        throw error;
      });
      const found = new Map<string, StoredPrediction[]>();
      for (const row of rows) found.set(row.userId, [...(found.get(row.userId) ?? []), candidateOf(row, assignment)]);
      return found;
    },
  };
}

interface Row extends Omit<StoredPrediction, 'modelVersionId'> {
  readonly userId: string;
}

/**
 * Returns one statement for generation and overlay, in this order. From the base it reads only users that the
 * generation lacks. The statement is not prepared: a prepared statement of each generation would stay on every
 * connection, while planning costs only 0.06 ms. (A single prepared statement on the parent table would be as fast, but
 * would wait whenever another generation is attached or dropped.)
 */
function findRows(
  db: Db,
  assignment: Assignment,
  userIds: readonly string[],
  generation: AssignedGeneration | null,
  withinMs: number,
): Promise<Row[]> {
  const layers = generation === null ? '' : `${layersSql(generation)} union all `;
  return query<Row>(db, {
    ...(generation === null ? { name: 'tandem-stored-overlay' } : {}),
    text: `select user_id as "userId", layer, generation_id as "generationId", source,
        context_version as "contextVersion", history, overlay_floor as "overlayFloor", refreshed,
        ${epochMs('computed_at')} as "computedAt", outputs
      from (${layers}select user_id, 'overlay', null::uuid, source, context_version, history, overlay_floor, refreshed, computed_at,
          outputs
        from tandem.overlay where predictor = $2 and user_id = any($1::text[]) and model_version_id = $3
      ) as stored(user_id, layer, generation_id, source, context_version, history, overlay_floor, refreshed, computed_at,
        outputs)`,
    values: [textArray(userIds), assignment.predictor, assignment.modelVersionId],
    withinMs,
  });
}

/** Returns SQL for one row per user, from the generation or its base. */
function layersSql({ id, base }: AssignedGeneration): string {
  const own = layerSql(id, '');
  if (base === null) return own;
  return `${own} union all ${layerSql(base.id, `and not exists (select from ${partitionOf(id)} o where o.user_id = p.user_id)`)}`;
}

function layerSql(id: string, condition: string): string {
  return `select user_id, 'generation', '${id}'::uuid, 'batch', context_version, null, null::bigint, false, computed_at, outputs
          from ${partitionOf(id)} p where user_id = any($1::text[]) ${condition}`;
}

function candidateOf({ userId: _userId, ...stored }: Row, { modelVersionId }: Assignment): StoredPrediction {
  return { ...stored, modelVersionId };
}
