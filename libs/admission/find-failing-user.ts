/** Finds a user whose row makes a feature query fail, so that an error message can name the user. */

import type { ModelDefinition } from '@tandem/freshness/predictor';
import { readOnly } from '@tandem/offline-store/features/feature-session';
import { asRelation, KEY_SQL, quoteName } from '@tandem/offline-store/features/feature-statement';
import { limitStatements, query } from '@tandem/offline-store/sql/database';
import { FeatureQueryFailed, isOfSomeUser } from '@tandem/prediction/scoring/feature-source';
import type { Pool } from './sample-users.ts';
import { isTooSlow } from './slow-statement.ts';

/** Milliseconds for the whole search. `STATEMENT_MS` limits each statement. */
const SEARCH_MS = 20_000;
const STATEMENT_MS = 5_000;

type Queried = Pick<ModelDefinition, 'query' | 'keyType'>;

/**
 * Halves the users until one is left, in log2(users) statements. Returns null if the query fails for no single user, or
 * if the time runs out.
 */
async function findFailingUser(pool: Pool, definition: Queried, userIds: readonly string[]): Promise<string | null> {
  const deadline = performance.now() + SEARCH_MS;
  let suspects = userIds;
  try {
    while (suspects.length > 1) {
      if (performance.now() > deadline) return null;
      const half = suspects.slice(0, suspects.length >> 1);
      suspects = (await failsFor(pool, definition, half)) ? half : suspects.slice(half.length);
    }
    return suspects.length === 1 && (await failsFor(pool, definition, suspects)) ? (suspects[0] ?? null) : null;
  } catch (error) {
    if (isTooSlow(error)) return null;
    throw error;
  }
}

async function failsFor(pool: Pool, { query: { sql, columns, asOf }, keyType }: Queried, userIds: readonly string[]) {
  const names = [...columns.map(({ name }) => name), ...(asOf === null ? [] : [asOf])];
  // `count` makes Postgres compute each column, but send only one row.
  const counts = names.map((name) => `count(f.${quoteName(name)})`).join(', ');
  const text = `select ${counts} from ${asRelation(sql)} where f.user_id = any($1::${KEY_SQL[keyType]}[])`;
  try {
    await readOnly(pool, async (db) => {
      await limitStatements(db, STATEMENT_MS);
      await query(db, { text, values: [userIds] });
    });
    return false;
  } catch (error) {
    if (isOfSomeUser(error)) return true;
    throw error;
  }
}

/** Adds the predictor to the error and, if the search finds one, a user whose row makes the query fail. */
export async function namingUser(
  pool: Pool,
  definition: ModelDefinition,
  userIds: readonly string[],
  error: unknown,
): Promise<unknown> {
  if (!isOfSomeUser(error)) return error;
  const userId = await findFailingUser(pool, definition, userIds);
  return new FeatureQueryFailed(error.fault, definition.predictor, userId ?? undefined);
}
