/**
 * The SQL that wraps a predictor's feature query. Each row includes the user's context version, read in the same row
 * and statement as its features. So the version is a true label of predictions computed from them. Predicates are in
 * the key's own type, so that they use the index of the underlying table (a chunk took 48 ms instead of 415).
 */

import type { FeatureQuery, ModelVersion } from '@tandem/freshness/predictor';
import type { KeyType } from '@tandem/freshness/user-id';
import type { KeyRange } from '@tandem/prediction/scoring/feature-source';
import pg from 'pg';
import { certificateSql, REVISION_SQL, textArray, touchedSql } from '../certificate/certificate-statement.ts';
import { epochMs } from '../sql/database.ts';

/** The name of a key type in SQL. */
export const KEY_SQL: Readonly<Record<KeyType, string>> = { int8: 'bigint', uuid: 'uuid', text: 'text' };

/** Columns before the features: user id, context version, context features (JSON or null), asOf in ms (or null). */
export const LEADING_COLUMNS = 4;

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Returns the query as a relation `f`. The line breaks end a trailing comment before the bracket. */
export function asRelation(sql: string): string {
  return `(\n${sql}\n) f`;
}

/**
 * Columns of `usersSql` after the features: the user's deleted version, and the version of the last concerning event.
 */
export const TRAILING_COLUMNS = 2;

/**
 * Returns SQL for the rows of the named users, and then one row with a null user id and the certificate in its third
 * column, as a JSON array. $1: the keys as an array of their type; $2 to $4: the certificate's parameters, which need
 * not include users that have a row.
 */
export function usersSql(version: UsersVersion): string {
  const { query, predictor } = version;
  const head = 'json_build_array(h.history, h.now, h.revision, h.arms, h.users, h.protocol)::text';
  const state = `, coalesce(c.deleted_version, 0), ${touchedSql(pg.escapeLiteral(predictor))}`;
  const asked = `unnest($2::text[], array_fill(${pg.escapeLiteral(predictor)}::text, array[cardinality($2::text[])]))`;
  return `${rowsSql(query, { state })} where ${isNamed(version)}
  union all select null, null, ${head}, null${query.columns.map(() => ', null').join('')}, null, null from (${certificateSql({ asked, history: 3, revision: 4 })}) h`;
}

/**
 * Returns the statement of `usersSql` for a caller that knows the arms and certifies only users with rows. The shorter
 * statement saves Postgres a sixth of the cost of 25 users.
 * - All features are in one column (packed-rows.ts), and an absent state of a user is null instead of 0.
 * - The last row has revision, history and clock (ms) in columns two to four, and the protocol's number in the last.
 */
export function packedUsersSql(version: UsersVersion): string {
  const { query, predictor } = version;
  const state = `, c.deleted_version, ${touchedSql(pg.escapeLiteral(predictor))}`;
  return `${rowsSql(query, { state, packed: true })} where ${isNamed(version)}
  union all select null, ${REVISION_SQL}, tandem.current_history(), ${epochMs('statement_timestamp()')}, null, null, s.protocol
  from tandem.settings s`;
}

type UsersVersion = Pick<ModelVersion, 'query' | 'keyType' | 'predictor'>;

function isNamed({ keyType }: Pick<ModelVersion, 'keyType'>): string {
  return `f.user_id = any($1::${KEY_SQL[keyType]}[])`;
}

/**
 * Returns SQL for the rows of a half-open key range, and then one row with [history, clock]. $1, $2: from and to; null
 * is unbounded.
 */
export function rangeSql(version: RangeVersion, range: KeyRange): string {
  return chunkRowsSql(version, rangeRowsSql(version, isInRange(version.keyType, range, ['$1', '$2']), []));
}

type RangeVersion = Pick<ModelVersion, 'query' | 'keyType'>;

function rangeRowsSql({ query }: RangeVersion, condition: string, asText: readonly boolean[]): string {
  return `${rowsSql(query, { asText, context: CONTEXT_OF_EACH })} where ${condition}`;
}

/**
 * Returns SQL for the rows of named users. Their contexts are read by one index scan: 10,000 single lookups took three
 * times as long. The join is a full join, which Postgres never executes as a nested loop. A nested loop would read all
 * contexts again for each row, and Postgres chooses one if it expects few rows from a feature query. Rows that have
 * only a context are filtered out. The ids occur in the text twice, so that Postgres knows their number.
 */
function namedRowsSql(
  { query, keyType }: RangeVersion,
  userIds: readonly string[],
  asText: readonly boolean[],
): string {
  const ids = pg.escapeLiteral(textArray(userIds));
  const sql = `select * from ${asRelation(query.sql)} where f.user_id = any(${ids}::${KEY_SQL[keyType]}[])`;
  const context = `full join (select user_id, version, features from tandem.user_contexts where user_id = any(${ids}::text[])) c
    on c.user_id = (f.user_id::text collate "C")`;
  return `select * from (${rowsSql({ ...query, sql }, { asText, context })} offset 0) named(user_id) where named.user_id is not null`;
}

function chunkRowsSql({ query }: RangeVersion, rowsSql: string): string {
  const head = `json_build_array(tandem.current_history(), ${epochMs('statement_timestamp()')})::text`;
  return `${rowsSql}
  union all select null, null, ${head}, null${query.columns.map(() => ', null').join('')}`;
}

/**
 * Returns the SQL condition that a row is in a key range.
 * @param bounds the SQL of the bounds `from` and `to` that are not null
 */
function isInRange(keyType: KeyType, { from, to }: KeyRange, bounds: readonly string[]): string {
  const key = KEY_SQL[keyType];
  const conditions = [
    'f.user_id is not null',
    ...(from === null ? [] : [`f.user_id >= ${bounds[0]}::${key}`]),
    ...(to === null ? [] : [`f.user_id < ${bounds[from === null ? 0 : 1]}::${key}`]),
  ];
  return conditions.join(' and ');
}

/**
 * Returns SQL for the user ids of a range, each once and in the keys' order. Postgres does not compute the unused
 * features.
 */
export function rangeUsersSql({ query, keyType }: RangeVersion, range: KeyRange): string {
  return `select key::text as key from (
    select distinct f.user_id as key from ${asRelation(query.sql)} where ${isInRange(keyType, range, ['$1', '$2'])}) k order by k.key`;
}

/**
 * Returns SQL for the rows of a chunk, and then the last row of `rangeSql`, as a COPY in binary form. COPY accepts no
 * parameters.
 * @param asText for each feature column, whether to return it as text instead of its own form
 */
export function chunkCopySql(version: RangeVersion, part: ChunkPart, asText: readonly boolean[]): string {
  const rows = 'userIds' in part ? namedRowsSql(version, part.userIds, asText) : literalRangeSql(version, part, asText);
  return `copy (${chunkRowsSql(version, rows)}) to stdout (format binary)`;
}

/** The users of a chunk: a key range, or named users. */
export type ChunkPart = KeyRange | { readonly userIds: readonly string[] };

function literalRangeSql(version: RangeVersion, range: KeyRange, asText: readonly boolean[]): string {
  const bounds = [range.from, range.to].filter((bound) => bound !== null).map((bound) => pg.escapeLiteral(bound));
  return rangeRowsSql(version, isInRange(version.keyType, range, bounds), asText);
}

/** Returns SQL that gives no rows, for the types of the feature columns. */
export function featureTypesSql({ sql, columns }: FeatureQuery): string {
  const features = columns.map(({ name }) => `f.${quoteName(name)}`).join(', ');
  return `select ${features} from ${asRelation(sql)} where false`;
}

interface RowOptions {
  readonly asText?: readonly boolean[];
  /** Columns after the features. */
  readonly state?: string;
  readonly packed?: boolean;
  /** The join of contexts `c`. */
  readonly context?: string;
}

const CONTEXT = 'left join tandem.user_contexts c on c.user_id = (f.user_id::text collate "C")';
/**
 * Contexts of a key range are looked up one by one. With a plain join Postgres planned for the number of all contexts,
 * 800,000. A chunk of 7,500 users then took 92 ms of CPU in parallel processes instead of 43 ms. A chunk of 10,000
 * users took up to 430 ms, since Postgres built a hash of all contexts.
 */
const CONTEXT_OF_EACH = `left join lateral (select version, features from tandem.user_contexts
  where user_id = (f.user_id::text collate "C") offset 0) c on true`;

function rowsSql({ sql, columns, asOf }: FeatureQuery, options: RowOptions) {
  const { asText = [], state = '', packed = false, context = CONTEXT } = options;
  const asOfMs = asOf === null ? 'null::float8' : `(extract(epoch from f.${quoteName(asOf)}) * 1000)::float8`;
  const features = columns.map(({ name }, i) => `, f.${quoteName(name)}${asText[i] ? '::text' : ''}`).join('');
  const fields = packed ? `, record_send(row(${features.slice(2)}))` : features;
  const version = packed ? 'c.version' : 'coalesce(c.version, 0)';
  return `select f.user_id::text, ${version}, nullif(c.features, '{}')::text, ${asOfMs}${fields}${state}
  from ${asRelation(sql)} ${context}`;
}
