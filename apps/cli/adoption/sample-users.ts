/** Some of the real users that a predictor would serve: what its model is tried with, and what `check` shows. */

import { type createPool, query } from '@tandem/offline-store/database';
import { asRelation } from '@tandem/offline-store/feature-statement';
import { createFeatureSource } from '@tandem/offline-store/features';
import { schemaState } from '@tandem/offline-store/migrate';
import { isTandemError } from '@tandem/prediction/errors';
import { type FeatureBatch, scorableRows } from '@tandem/prediction/features';
import { type ModelDefinition, modelVersionId } from '@tandem/prediction/predictor';

type Pool = ReturnType<typeof createPool>;

export interface SampledUsers {
  /** Users whose features were read. */
  readonly read: number;
  /** Those of them that can be scored, at least one; undefined: there is none. */
  readonly scorable: FeatureBatch | undefined;
  /** One that cannot, and why. */
  readonly fault: { readonly userId: string; readonly why: string } | null;
}

/** More than a trial takes, since some may have nulls. */
const USERS_READ = 256;
const NOBODY: SampledUsers = { read: 0, scorable: undefined, fault: null };

/**
 * Undefined where features cannot be read yet (the schema's tables, which label them, are not there) or not in a live
 * read's time. Rejects with `config_invalid` where the query itself fails.
 */
export async function sampleUsers(pool: Pool, definition: ModelDefinition): Promise<SampledUsers | undefined> {
  if ((await schemaState(pool)).state !== 'current') return undefined;
  try {
    const userIds = await someUsers(pool, definition);
    if (userIds.length === 0) return NOBODY;
    const version = { ...definition, id: modelVersionId(definition), number: 0 };
    return describe((await createFeatureSource(pool).readUsers(version, userIds)).batch, userIds);
  } catch (error) {
    // A slow query is for `check` to judge, by its plan.
    if (isTandemError(error, 'unavailable')) return undefined;
    throw error;
  }
}

async function someUsers(pool: Pool, { query: { sql } }: ModelDefinition): Promise<string[]> {
  const rows = await query<{ key: string }>(pool, {
    text: `select f.user_id::text as key from ${asRelation(sql)} where f.user_id is not null limit ${USERS_READ}`,
  });
  return [...new Set(rows.map(({ key }) => key))];
}

/** @param order user ids as the query gives them, which a read by key does not keep */
function describe(batch: FeatureBatch, order: readonly string[]): SampledUsers {
  const places = new Map(order.map((userId, i) => [userId, i]));
  const placeOf = (row: number) => places.get(batch.userIds[row] ?? '') ?? 0;
  const rows = scorableRows(batch).sort((a, b) => placeOf(a) - placeOf(b));
  const [[faulty, why] = []] = batch.faults;
  return {
    read: batch.userIds.length,
    scorable: rows.length === 0 ? undefined : pick(batch, rows),
    fault: faulty === undefined || why === undefined ? null : { userId: batch.userIds[faulty] ?? '', why },
  };
}

function pick(batch: FeatureBatch, rows: readonly number[]): FeatureBatch {
  return {
    ...batch,
    userIds: rows.map((row) => batch.userIds[row] ?? ''),
    contextVersions: rows.map((row) => batch.contextVersions[row] ?? 0),
    values: batch.values.map((values) => rows.map((row) => values[row] ?? null)),
    faults: new Map(),
  };
}
