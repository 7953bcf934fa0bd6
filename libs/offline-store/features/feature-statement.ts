/**
 * The SQL that wraps a predictor's feature query. Each row includes the user's context version, read in the same row
 * and statement as its features. So the version is a true label of predictions computed from them. Predicates are in
 * the key's own type, so that they use the index of the underlying table (a chunk took 48 ms instead of 415).
 */
import type { FeatureQuery, ModelVersion } from '@tandem/freshness/predictor';
import type { KeyType } from '@tandem/freshness/user-id';
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

/** The query as a relation `f`. Line breaks keep a trailing comment from swallowing the bracket. */
export function asRelation(sql: string): string {
  return `(\n${sql}\n) f`;
}

/** Columns of `usersSql` after the features: the user's deleted version, and the last concerning version. */
export const TRAILING_COLUMNS = 2;

/**
 * Rows of the named users, then one row whose user id is null and whose third column is the certificate as a JSON array.
 * $1: keys as an array of their type; $2 to $4: the certificate's parameters, which need not name users that have a row.
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
 * Returns the same statement for a caller that knows the arms and certifies by the rows alone. The shorter statement saves
 * Postgres a sixth of the cost of 25 users.
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

/** Rows of a half-open key range, then one row with [history, clock]. $1, $2: from and to, null is unbounded. */
export function rangeSql(version: RangeVersion, range: RangeShape): string {
  return chunkRowsSql(version, rangeRowsSql(version, isInRange(version.keyType, range, ['$1', '$2']), []));
}

type RangeVersion = Pick<ModelVersion, 'query' | 'keyType'>;

function rangeRowsSql({ query }: RangeVersion, condition: string, asText: readonly boolean[]): string {
  return `${rowsSql(query, { asText, context: CONTEXT_OF_EACH })} where ${condition}`;
}

/**
 * Rows of named users. Their contexts are one scan of the index: 10,000 lookups one by one took three times as long. Only a full
 * join is never made as a nested loop, which reads all contexts again for each row, and which Postgres would choose where it
 * expects few rows of a feature query. Rows of contexts alone are left out above. The ids are in the text twice, so that
 * Postgres knows how many there are.
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

/** @param bounds the SQL for those of `from` and `to` that are not null */
function isInRange(keyType: KeyType, { from, to }: RangeShape, bounds: readonly string[]): string {
  const key = KEY_SQL[keyType];
  const conditions = [
    'f.user_id is not null',
    ...(from === null ? [] : [`f.user_id >= ${bounds[0]}::${key}`]),
    ...(to === null ? [] : [`f.user_id < ${bounds[from === null ? 0 : 1]}::${key}`]),
  ];
  return conditions.join(' and ');
}

/** The user ids of a range in the keys' order, each once. Postgres leaves out features that it need not compute. */
export function rangeUsersSql({ query, keyType }: RangeVersion, range: RangeShape): string {
  return `select key::text as key from (
    select distinct f.user_id as key from ${asRelation(query.sql)} where ${isInRange(keyType, range, ['$1', '$2'])}) k order by k.key`;
}

/**
 * Rows of a chunk, then the row of `rangeSql`, as a COPY in binary form, which takes no parameters.
 * @param asText of each feature column, whether it is wanted as text rather than in its own form
 */
export function chunkCopySql(version: RangeVersion, part: ChunkPart, asText: readonly boolean[]): string {
  const rows = 'userIds' in part ? namedRowsSql(version, part.userIds, asText) : literalRangeSql(version, part, asText);
  return `copy (${chunkRowsSql(version, rows)}) to stdout (format binary)`;
}

/** The users of a chunk: those of a key range, or named users. */
export type ChunkPart = RangeShape | { readonly userIds: readonly string[] };

function literalRangeSql(version: RangeVersion, range: RangeShape, asText: readonly boolean[]): string {
  const bounds = [range.from, range.to].filter((bound) => bound !== null).map((bound) => pg.escapeLiteral(bound));
  return rangeRowsSql(version, isInRange(version.keyType, range, bounds), asText);
}

/** SQL without rows, for the types of the feature columns. */
export function featureTypesSql({ sql, columns }: FeatureQuery): string {
  const features = columns.map(({ name }) => `f.${quoteName(name)}`).join(', ');
  return `select ${features} from ${asRelation(sql)} where false`;
}

interface RangeShape {
  readonly from: string | null;
  readonly to: string | null;
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
 * Contexts of a key range, looked up one by one. With a plain join Postgres chose a plan for the number of all contexts,
 * 800,000. A chunk of 7,500 users then took 92 ms of CPU in parallel processes instead of 43. A chunk of 10,000 users
 * took up to 430 ms, by a hash of all contexts.
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
