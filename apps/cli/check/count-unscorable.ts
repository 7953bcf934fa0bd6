/** Counts the users that a run could not score, by column, so that `check` reports them before the first run. */
import type { Pool } from '@tandem/admission/sample-users';
import type { FeatureColumn, FeatureQuery } from '@tandem/freshness/predictor';
import { readOnly } from '@tandem/offline-store/features/feature-session';
import { asRelation, quoteName } from '@tandem/offline-store/features/feature-statement';
import { MAX_ROW_BYTES } from '@tandem/offline-store/features/row-bounds';
import { query } from '@tandem/offline-store/sql/database';

export interface UnscorableUsers {
  /** The number of users of the query. */
  readonly users: number;
  /** The number of users that cannot be scored. */
  readonly unscorable: number;
  /** The reasons by column. A user may have several. */
  readonly reasons: readonly { readonly column: string; readonly reason: UnscorableValue; readonly users: number }[];
}

/**
 * Why a value cannot be used: a null without a declared value, a text outside the categories, NaN or infinity, or a
 * text above the size limit of a row.
 */
export type UnscorableValue = 'null' | 'unknown' | 'not_finite' | 'too_long';

interface Reason {
  readonly column: string;
  readonly reason: UnscorableValue;
  readonly condition: string;
}

/**
 * Counts the users in one pass over all rows. Event values, which may replace a null, are ignored. A column may occur
 * in several conditions. With `offset 0`, Postgres computes the column once and not for each condition: for 20,000
 * users and two subqueries this takes 0.6 s instead of 3 s.
 */
export async function countUnscorable(pool: Pool, { sql, columns }: FeatureQuery): Promise<UnscorableUsers> {
  const values: string[][] = [];
  const reasons = columns.flatMap((column) => reasonsOf(column, values));
  const any = reasons.map(({ condition }) => condition).join(' or ') || 'false';
  const each = reasons.map(({ condition }) => `count(*) filter (where ${condition})`);
  const text = `select count(*) as users, count(*) filter (where ${any}) as unscorable,
        array[${each.join(', ')}]::float8[] as each from (select f.* from ${asRelation(sql)} offset 0) f
      where f.user_id is not null`;
  const [row] = await readOnly(pool, (db) =>
    query<{ users: number; unscorable: number; each: number[] }>(db, { text, values }),
  );
  const { users = 0, unscorable = 0, each: counts = [] } = row ?? {};
  return {
    users,
    unscorable,
    reasons: reasons
      .map(({ column, reason }, i) => ({ column, reason, users: counts[i] ?? 0 }))
      .filter((one) => one.users > 0),
  };
}

/**
 * Returns the reasons why a value of the column cannot be used, each with its condition in SQL.
 * @param values the parameters of the statement, to which this appends
 */
function reasonsOf({ name, kind, nullAs, categories }: FeatureColumn, values: string[][]): Reason[] {
  const column = `f.${quoteName(name)}`;
  const reasons: Reason[] = [];
  if (nullAs === undefined) reasons.push({ column: name, reason: 'null', condition: `${column} is null` });
  if (kind === 'number') {
    // In Postgres a NaN is equal to itself.
    const condition = `${column} = any('{NaN,Infinity,-Infinity}'::float8[])`;
    reasons.push({ column: name, reason: 'not_finite', condition });
  }
  if (kind === 'string') {
    // For a text stored outside its row, Postgres reads only the length.
    const condition = `octet_length(${column}::text) > ${MAX_ROW_BYTES}`;
    reasons.push({ column: name, reason: 'too_long', condition });
  }
  if (categories && categories.unknownAs === undefined) {
    values.push([...categories.values]);
    const condition = `${column} <> all($${values.length}::text[])`;
    reasons.push({ column: name, reason: 'unknown', condition });
  }
  return reasons;
}
