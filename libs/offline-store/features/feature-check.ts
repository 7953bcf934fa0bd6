/**
 * Reads facts about a feature query for `tandem check`, before it is adopted: its columns, keys and plans. Each
 * function takes the pool of feature statements.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureKind, ModelVersion } from '@tandem/freshness/predictor';
import pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { type Db, execute, query } from '../sql/database.ts';
import { remedyOf } from '../sql/query-fault.ts';
import { fitsKey, fitsKind, fitsTime } from './feature-decoding.ts';
import { readOnly } from './feature-session.ts';
import { asRelation, KEY_SQL, rangeSql, usersSql } from './feature-statement.ts';

interface DescribedColumn {
  readonly name: string;
  /** The type as Postgres spells it: `bigint`, `double precision`, `numeric(10,2)`. */
  readonly type: string;
  readonly typeOid: number;
  /** The column of a table that it returns, `schema.table.column`; null if the query computes it. */
  readonly origin: string | null;
}

/**
 * Returns the columns of a query without running it. Rejects with `config_invalid`, which names the line, if Postgres
 * rejects the query.
 */
export function describeQuery(pool: pg.Pool, sql: string): Promise<readonly DescribedColumn[]> {
  return readOnly(pool, (db) => describe(db, sql));
}

async function describe(db: Db, sql: string): Promise<readonly DescribedColumn[]> {
  const before = 'select * from ';
  const text = `${before}${asRelation(sql)} limit 0`;
  const { fields } = await execute(db, { text }).catch((error: unknown) => {
    throw queryError(error, sql, before.length + 2);
  });
  return query<DescribedColumn>(db, {
    text: `select t.name, format_type(t.oid, modifier) as type, t.oid::int8 as "typeOid",
        quote_ident(nspname) || '.' || quote_ident(relname) || '.' || quote_ident(attname) as origin
      from unnest($1::text[], $2::oid[], $3::int[], $4::oid[], $5::int[]) with ordinality as t(name, oid, modifier, "table", "column", position)
      left join (pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace)
        on attrelid = "table" and attnum = "column" order by position`,
    values: (['name', 'dataTypeID', 'dataTypeModifier', 'tableID', 'columnID'] as const).map((fact) =>
      fields.map((field) => field[fact]),
    ),
  });
}

/** A column of a model version's query that reads cannot decode, because its type has changed since the adoption. */
interface ChangedColumn extends DescribedColumn {
  /** The kind of a feature, or the type of a user id or of `asOf`, when the version was adopted. */
  readonly was: string;
}

/** Returns the changed columns of the query. Rejects as `describeQuery` does. */
export async function findChangedColumns(pool: pg.Pool, version: QueryToExplain): Promise<readonly ChangedColumn[]> {
  const { keyType, query } = version;
  const kinds = new Map<string, FeatureKind>(query.columns.map(({ name, kind }) => [name, kind]));
  return (await describeQuery(pool, query.sql)).flatMap((column) => {
    const { name, typeOid } = column;
    const kind = kinds.get(name);
    if (name === 'user_id') return fitsKey(keyType, typeOid) ? [] : [{ ...column, was: KEY_SQL[keyType] }];
    if (name === query.asOf) return fitsTime(typeOid) ? [] : [{ ...column, was: 'timestamp with time zone' }];
    return kind === undefined || fitsKind(kind, typeOid) ? [] : [{ ...column, was: kind }];
  });
}

function queryError(error: unknown, sql: string, offset: number): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const position = Number(error.position) - offset;
  const line = position > 0 ? ` (line ${sql.slice(0, position).split('\n').length} of the query)` : '';
  return new TandemError('config_invalid', `Postgres rejects the feature query: ${error.message}${line}`, {
    field: 'features.sql',
    remedy: remedyOf(error),
    cause: error,
  });
}

/** A relation that is scanned completely. */
export interface FullScan {
  /** The name with its schema, without quotes. */
  readonly relation: string;
  /** The name with its schema as SQL must spell it. */
  readonly sql: string;
  readonly oid: number;
  readonly rows: number;
  /** The first column or expression of each index. */
  readonly indexed: readonly string[];
}

/** The plan by which Postgres would read features. */
export interface PlanReport {
  /** Relations that are scanned completely, although only one user or a small range was requested. */
  readonly scans: readonly FullScan[];
  /** The output of EXPLAIN. */
  readonly plan: string;
}

type QueryToExplain = Pick<ModelVersion, 'query' | 'keyType'>;

/** Returns the plan of a live read of one user. */
export function explainUser(pool: pg.Pool, version: QueryToExplain): Promise<PlanReport> {
  const text = usersSql({ ...version, predictor: '' });
  return explain(pool, version, text, (key) => [textArray([key]), textArray([key]), '', 0]);
}

/** Returns the plan of a chunk. */
export function explainRange(pool: pg.Pool, version: QueryToExplain): Promise<PlanReport> {
  return explain(pool, version, rangeSql(version, { from: '', to: '' }), (key) => [key, key]);
}

/** The least number of rows of a reported scan. A scan of a smaller table costs less than an index would save. */
const FEW_ROWS = 1_000;

async function explain(
  pool: pg.Pool,
  version: QueryToExplain,
  text: string,
  valuesFor: (key: string) => readonly unknown[],
): Promise<PlanReport> {
  return readOnly(pool, async (db) => {
    const sample = await query<{ key: string }>(db, {
      text: `select f.user_id::text as key from ${asRelation(version.query.sql)} where f.user_id is not null limit 1`,
    });
    const none = { int8: '0', uuid: '00000000-0000-0000-0000-000000000000', text: '' }[version.keyType];
    // Bound parameters give the same plan as a real read.
    const values = valuesFor(sample[0]?.key ?? none);
    // With scans disabled, a scan remains only if there is no alternative. So it is also found while the tables are
    // still small.
    await db.query('set local enable_seqscan = off');
    const [json] = await query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(db, {
      text: `explain (format json, verbose) ${text}`,
      values,
    });
    const lines = await query<{ 'QUERY PLAN': string }>(db, { text: `explain ${text}`, values });
    const scanned = json ? fullScans(json['QUERY PLAN'][0].Plan) : [];
    const scans = (await describeScans(db, scanned)).filter(({ rows }) => rows >= FEW_ROWS);
    return { scans, plan: lines.map((line) => line['QUERY PLAN']).join('\n') };
  });
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Schema?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly PlanNode[];
}

const SCANS = new Set(['Seq Scan', 'Index Scan', 'Index Only Scan', 'Sample Scan']);
/** Tandem's tables of a few rows, which every certificate reads. */
const OWN = new Set(
  ['settings', 'arms', 'predictors', 'model_versions', 'generations', 'history_rotation', 'watch_faults'].map(
    (name) => `tandem.${name}`,
  ),
);

/**
 * Returns the relations that a plan reads without an index condition. A filter that leaves few rows does not make a
 * scan cheap.
 */
function fullScans(node: PlanNode): string[] {
  const name = node['Relation Name'];
  const full = name !== undefined && SCANS.has(node['Node Type']) && node['Index Cond'] === undefined;
  const relation = `${node.Schema}.${name}`;
  return [...(full && !OWN.has(relation) ? [relation] : []), ...(node.Plans ?? []).flatMap(fullScans)];
}

/**
 * Returns the scanned relations with their approximate number of rows, by their statistics, else by their size, and with
 * their indexes.
 */
function describeScans(db: Db, relations: readonly string[]) {
  return query<FullScan>(db, {
    text: `select r.relation, format('%I.%I', n.nspname, c.relname) as sql, c.oid::int8 as oid, case when c.reltuples >= 0 then c.reltuples else pg_relation_size(c.oid) / 100.0 end::float8 as rows,
        array(select pg_get_indexdef(i.indexrelid, 1, true) from pg_index i
          where i.indrelid = c.oid and i.indisvalid and i.indpred is null) as indexed
      from unnest($1::text[]) as r(relation)
      join pg_class c join pg_namespace n on n.oid = c.relnamespace on r.relation = n.nspname || '.' || c.relname`,
    values: [[...new Set(relations)]],
  });
}

/** Returns the keys with more than one row. A null key has the number of rows without a key. */
export function findDuplicateKeys(
  pool: pg.Pool,
  sql: string,
  limit: number,
): Promise<readonly { readonly userId: string | null; readonly rows: number }[]> {
  return readOnly(pool, (db) =>
    query<{ userId: string | null; rows: number }>(db, {
      text: `select f.user_id::text as "userId", count(*) as rows from ${asRelation(sql)}
        group by f.user_id having count(*) > 1 or f.user_id is null order by 2 desc limit $1`,
      values: [limit],
    }),
  );
}
