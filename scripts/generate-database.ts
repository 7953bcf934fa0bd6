/**
 * Writes the tables of a freshly migrated database as Kysely's types (`npm run generate`). The project has its own
 * generator because kysely-codegen and kanel read neither unions from check constraints nor the types of jsonb columns.
 */
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { createPool, type Db, query } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';

const root = join(import.meta.dirname, '..');
const FILE = join(root, 'libs/offline-store/sql/database-schema.ts');

/** Returns the tables that typed statements name. The other tables are used by plain SQL only, which needs no types. */
function typedTables(): readonly string[] {
  const sources = globSync('libs/{offline-store,extensions}/**/*.ts', {
    cwd: root,
    exclude: ['**/database-schema.ts', '**/*.test.ts'],
  });
  const texts = sources.map((path) => readFileSync(join(root, path), 'utf8'));
  return [
    ...new Set(
      texts.flatMap((text) => [...text.matchAll(/'tandem\.(\w+)(?: as \w+)?'/g)].map(([, name = '']) => name)),
    ),
  ];
}

/**
 * Maps each Postgres type to the TypeScript type that the driver's parsers return (libs/offline-store/sql/database.ts).
 * `int8` is a number, because counters stay below 2^53.
 */
export const DRIVER_TYPES: Readonly<Record<string, string>> = {
  ...{
    bool: 'boolean',
    bytea: 'Buffer',
    date: 'Date',
    timestamptz: 'Date',
    interval: 'object',
    json: 'unknown',
    jsonb: 'unknown',
  },
  ...{ int2: 'number', int4: 'number', int8: 'number', float8: 'number', oid: 'number' },
  ...{
    text: 'string',
    uuid: 'string',
    varchar: 'string',
    name: 'string',
    char: 'string',
    regclass: 'string',
    xid8: 'string',
  },
};

/** Types of columns that the Postgres catalog does not know, and the modules that export these types. */
const COLUMN_TYPES: Readonly<Record<string, { readonly type: string; readonly from?: string }>> = {
  'api_keys.scopes': { type: 'Scope[]', from: '@tandem/prediction/keys/api-key' },
  'arm_counts.counts': { type: 'object' },
  'audit.action': { type: 'AuditAction', from: './audit.ts' },
  'audit.detail': { type: 'Record<string, unknown>' },
  // Rows of older releases lack `lastConcerningVersion`.
  'kept_explanations.answer': {
    type: "Omit<ServedAnswer, 'lastConcerningVersion'> & Partial<ServedAnswer>",
    from: '@tandem/prediction/explanations/kept-explanation',
  },
  'kept_explanations.inputs': {
    type: 'KeptInputs | NoInputs',
    from: '@tandem/prediction/explanations/kept-explanation',
  },
  'model_versions.definition': { type: 'ModelDefinition', from: '@tandem/freshness/predictor' },
  'outcome_passes.counted': { type: 'object[]' },
  'outcome_passes.sums': { type: 'object[]' },
  'predictors.policy': { type: 'Policy', from: '@tandem/freshness/predictor' },
  'rollout_checks.figures': { type: 'object' },
  'rollouts.plan': { type: 'RolloutPlan', from: '@tandem/freshness/rollout' },
  'runs.budget': { type: 'Budget', from: '@tandem/prediction/runs/budget' },
  'shadow_counts.counts': { type: 'object' },
  'user_contexts.features': { type: 'ContextFeatures', from: '@tandem/freshness/features' },
};

interface Column {
  readonly table: string;
  readonly name: string;
  /** The type's name in pg_type. For an array, the name of the element type. */
  readonly type: string;
  readonly isArray: boolean;
  readonly isNullable: boolean;
  /** `a`: only Postgres writes the column; `d`: the column has a default; empty: neither. */
  readonly fill: 'a' | 'd' | '';
  /** The check constraints on only this column. */
  readonly checks: readonly string[];
  readonly comment: string | null;
}

/** Lists the columns of the tables that typed statements name. */
function listColumns(db: Db): Promise<readonly Column[]> {
  return query<Column>(db, {
    text: `select c.relname as table, a.attname as name, coalesce(e.typname, t.typname) as type, e.oid is not null as "isArray",
        not a.attnotnull as "isNullable",
        case when a.attidentity = 'a' or a.attgenerated <> '' then 'a' when a.attidentity = 'd' or a.atthasdef then 'd' else '' end as fill,
        array(select pg_get_constraintdef(k.oid) from pg_constraint k
          where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum] order by k.conname) as checks,
        col_description(c.oid, a.attnum) as comment
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
      where c.relnamespace = 'tandem'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1)
      order by c.relname, a.attnum`,
    values: [typedTables()],
  });
}

/** Returns the text of database-schema.ts for a migrated database. Throws if a column has a type without a mapping. */
export async function describeDatabase(db: Db): Promise<string> {
  const columns = await listColumns(db);
  const tables = [...Map.groupBy(columns, ({ table }) => table)].map(
    ([table, of]) => `  'tandem.${table}': {\n${of.map(columnText).join('')}  };\n`,
  );
  return `${HEAD}${imports(columns)}${HELPERS}export interface Database {\n${tables.join('')}}\n`;
}

const HEAD = '/** Generated by `npm run generate` from the migrated schema (scripts/generate-database.ts). */\n\n';

const HELPERS = `
/** A jsonb column, which is written as a text because the driver would send an array as a Postgres array. */
type Json<Read, Written = string> = ColumnType<Read, Written, Exclude<Written, undefined>>;

`;

/** Returns the imports in biome's order: packages first. */
function imports(columns: readonly Column[]): string {
  const typed = columns.flatMap(({ table, name }) => COLUMN_TYPES[`${table}.${name}`] ?? []);
  const modules = Map.groupBy(
    typed.flatMap(({ type, from }) =>
      from === undefined ? [] : (type.match(/\b(?!(?:Omit|Partial)\b)[A-Z]\w+/g) ?? []).map((name) => ({ name, from })),
    ),
    ({ from }) => from,
  );
  const kysely = ['ColumnType', 'Generated', 'GeneratedAlways'].map((name) => ({ name, from: 'kysely' }));
  const place = (from: string) => (from.startsWith('.') ? `~${from}` : from);
  return [...modules.set('kysely', kysely)]
    .sort(([one], [other]) => (place(one) < place(other) ? -1 : 1))
    .map(
      ([from, of]) => `import type { ${[...new Set(of.map(({ name }) => name))].sort().join(', ')} } from '${from}';\n`,
    )
    .join('');
}

function columnText(column: Column): string {
  const comment = column.comment === null ? '' : `    /** ${column.comment} */\n`;
  return `${comment}    ${column.name}: ${typeText(column)};\n`;
}

function typeText({ table, name, type, isArray, isNullable, fill, checks }: Column): string {
  const plain = COLUMN_TYPES[`${table}.${name}`]?.type ?? unionOf(checks) ?? DRIVER_TYPES[type];
  if (plain === undefined)
    throw new Error(`tandem.${table}.${name} is of type ${type}, for which DRIVER_TYPES has no entry`);
  const element = isArray && !plain.endsWith('[]') ? `${plain}[]` : plain;
  const read = isNullable ? `${element} | null` : element;
  if (type === 'json' || type === 'jsonb') {
    const written = ['string', ...(isNullable ? ['null'] : []), ...(fill === 'd' ? ['undefined'] : [])].join(' | ');
    return written === 'string' ? `Json<${read}>` : `Json<${read}, ${written}>`;
  }
  if (fill === '') return read;
  return fill === 'a' ? `GeneratedAlways<${read}>` : `Generated<${read}>`;
}

/**
 * Returns the union of the texts that a column's check allows, or undefined if no check lists values. Throws if several
 * checks list values, or if a listed value is not a plain text.
 */
export function unionOf(checks: readonly string[]): string | undefined {
  const lists = checks.filter((check) => check.includes('= ANY (ARRAY['));
  const [list] = lists;
  if (list === undefined) return undefined;
  const found = /^CHECK \(\(\w+ = ANY \(ARRAY\[((?:(?:, )?'[^'\\]*'::text)+)\]\)\)\)$/.exec(list)?.[1];
  if (lists.length > 1 || found === undefined)
    throw new Error(`no union of texts can be made of ${lists.join(' and ')}`);
  return [...found.matchAll(/'[^']*'/g)].join(' | ');
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-generate-'));
  const server = await startPostgres({ dataDir: join(folder, 'postgres'), log: () => {} });
  const pool = createPool({ url: server.url, max: 1, applicationName: 'tandem-generate' });
  try {
    await migrate(pool);
    await writeFile(FILE, await describeDatabase(pool));
  } finally {
    await pool.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) await main();
