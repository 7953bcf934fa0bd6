/**
 * Keys that look up the user of a row in a parent row: `(select o.customer_id from public.orders o where o.id =
 * changed.order_id)`, or nested. A watch evaluates such a key when the transaction commits (migrations/0073). The key
 * must never miss its parent, or the change would be lost: a foreign key has to guarantee the parent. The parent has to
 * be watched, too: its changes move rows to other users.
 */
import { TandemError } from '@tandem/freshness/errors';
import { type Db, queryOne } from '../sql/database.ts';
import { listWatchedSources, type WatchedSource } from './watched-sources.ts';

const NAME = String.raw`(?:"(?:[^"]|"")+"|[a-z_][\w$]*)`;
const LOOKUP = new RegExp(
  String.raw`^\(\s*select\s+(${NAME})\.(${NAME})\s+from\s+(${NAME}\.${NAME})\s+(?:as\s+)?(${NAME})\s+where\s+(.*?)\s*\)$`,
  'is',
);
const COLUMN = new RegExp(String.raw`^(${NAME})\s*\.\s*(${NAME})$`, 'i');
const ROW = 'changed';

const FORM = '(select p.user_column from schema.parent p where p.id = changed.parent_id)';

/** Returns how many tables a key reads: 0 for a key over the row alone. A parent is watched before its children. */
export function lookupDepth(key: string | null): number {
  return key?.match(/\bselect\b/gi)?.length ?? 0;
}

/** Returns the columns of the changed row that a key names, unquoted. */
export function changedColumns(key: string): readonly string[] {
  const named = key.matchAll(new RegExp(String.raw`\b${ROW}\s*\.\s*(${NAME})`, 'gi'));
  return [...new Set([...named].map(([, name = '']) => unquoted(name)))];
}

/** A column whose value a lookup uses or returns. */
interface Origin {
  /** The table as the key names it; null: the watched table. */
  readonly table: string | null;
  readonly column: string;
}

/** The step from a row to its parent: each column of the row refers to a column of the parent. */
interface Step {
  readonly from: string | null;
  readonly parent: string;
  /** The column of the parent that the lookup returns. */
  readonly value: string;
  readonly columns: readonly (readonly [own: string, parents: string])[];
}

/**
 * Rejects a key that looks up a parent which may be missing or whose changes are not seen.
 * @param table the oid of the watched table
 */
export async function checkLookups(db: Db, table: number, key: string, predictors: readonly string[]): Promise<void> {
  const steps: Step[] = [];
  if (!originOf(key.replaceAll(/--.*$/gm, '').trim(), steps)) {
    throw refused(
      `The key ${key} looks up users in a form that Tandem cannot check.`,
      `write it as ${FORM}, or nest it`,
    );
  }
  const watched = await listWatchedSources(db);
  for (const step of steps) {
    const { parent, isGuaranteed, isNotNull } = await findReference(db, table, step);
    if (parent === null || !isGuaranteed) {
      const own = step.columns.map(([column]) => column).join(', ');
      throw refused(
        `The key may find no row in ${step.parent}: no foreign key guarantees it.`,
        `add a valid, non-deferrable foreign key from (${own}) to ${step.parent}, or copy the user id into the table`,
      );
    }
    if (!isNotNull) {
      throw refused(
        `Column ${step.value} of ${step.parent} may be null, and a key that gives no user cannot be certified.`,
        `declare it not null: alter table ${step.parent} alter column ${step.value} set not null`,
      );
    }
    const isSeen = watched.some(
      (one) =>
        one.oid === parent && seesMoves(one, step.value) && predictors.every((name) => one.predictors.includes(name)),
    );
    if (!isSeen) {
      throw refused(
        `The key looks up users in ${step.parent}, which is not watched by ${step.value} for ${predictors.join(', ')}.`,
        `watch it first: tandem watch ${step.parent} --key ${step.value}`,
      );
    }
  }
}

/** Returns whether a watch of a parent counts a change of the column that says whose the row is. */
function seesMoves({ key, columns }: WatchedSource, column: string): boolean {
  if (key === null) return columns === null || columns.includes(column);
  if (lookupDepth(key) > 0) return changedColumns(key).includes(column);
  return unquoted(key.trim().replace(/^changed\s*\.\s*/i, '')) === column;
}

/** Returns the column that an expression gives, and adds its lookups to `steps`; undefined for another form. */
function originOf(expression: string, steps: Step[]): Origin | undefined {
  const column = COLUMN.exec(expression);
  if (column?.[1]?.toLowerCase() === ROW) return { table: null, column: unquoted(column[2] ?? '') };
  const [, selected = '', value = '', table = '', alias = '', where = ''] = LOOKUP.exec(expression) ?? [];
  if (table === '' || unquoted(selected) !== unquoted(alias)) return undefined;
  const pairs = conditionsOf(where).map((condition) => pairOf(condition, alias, steps));
  const [first] = pairs;
  if (!first || pairs.some((pair) => pair?.from.table !== first.from.table)) return undefined;
  const columns = pairs.flatMap((pair) => (pair ? [[pair.from.column, pair.column] as const] : []));
  steps.push({ from: first.from.table, parent: table, value: unquoted(value), columns });
  return { table, column: unquoted(value) };
}

/** Divides a condition at each `and` outside of brackets. */
function conditionsOf(where: string): readonly string[] {
  const parts = [''];
  let depth = 0;
  for (const piece of where.split(/(\(|\)|\s+and\s+)/i)) {
    depth += piece === '(' ? 1 : piece === ')' ? -1 : 0;
    if (depth === 0 && /^\s+and\s+$/i.test(piece)) parts.push('');
    else parts.push((parts.pop() ?? '') + piece);
  }
  return parts.map((part) => part.trim());
}

function pairOf(condition: string, alias: string, steps: Step[]): { column: string; from: Origin } | undefined {
  const [, left = '', right = ''] =
    /^([^=(]+?)\s*=\s*(.+)$/s.exec(condition) ?? /^(\(.+\))\s*=\s*([^=(]+)$/s.exec(condition) ?? [];
  for (const [own, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const named = COLUMN.exec(own.trim());
    if (!named || unquoted(named[1] ?? '') !== unquoted(alias)) continue;
    const from = originOf(other.trim(), steps);
    if (from) return { column: unquoted(named[2] ?? ''), from };
  }
  return undefined;
}

/** Finds a foreign key that is checked at once and holds for every row. `conenforced` is of Postgres 18. */
function findReference(db: Db, table: number, { from, parent, value, columns }: Step) {
  return queryOne<{ parent: number | null; isGuaranteed: boolean; isNotNull: boolean }>(db, {
    text: `select to_regclass($2)::oid::int8 as parent, exists (
        select from pg_attribute where attrelid = to_regclass($2) and attname = $6 and attnotnull) as "isNotNull", exists (
        select from pg_constraint c
        where c.conrelid = coalesce(to_regclass($3)::oid, $1::oid) and c.confrelid = to_regclass($2) and c.contype = 'f'
          and c.convalidated and not c.condeferrable and coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
          and (select array_agg(o.attname || ' ' || p.attname order by 1)
            from unnest(c.conkey, c.confkey) as k(own, parents)
            join pg_attribute o on o.attrelid = c.conrelid and o.attnum = k.own
            join pg_attribute p on p.attrelid = c.confrelid and p.attnum = k.parents)
            = (select array_agg(own || ' ' || parents order by 1) from unnest($4::text[], $5::text[]) as k(own, parents))
      ) as "isGuaranteed"`,
    values: [table, parent, from, columns.map(([own]) => own), columns.map(([, parents]) => parents), value],
  });
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}

function refused(message: string, remedy: string): TandemError {
  return new TandemError('config_invalid', message, { field: 'key', remedy });
}
