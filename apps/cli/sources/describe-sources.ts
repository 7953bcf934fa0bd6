/** Which tables a predictor's query reads, and which of them are watched: what `check`, `doctor` and `watch` tell. */
import type { Pool } from '@tandem/admission/sample-users';
import { findQueryTables, type QueryTable } from '@tandem/offline-store/query-tables';
import type { WatchedSource } from '@tandem/offline-store/watched-sources';
import { type Finding, ok, warning } from '../output/finding.ts';

const SUBJECT = 'sources';

/**
 * A finding for each table and function of the query.
 * @param pool of feature statements
 * @param declared tables that the config will have watched
 */
export async function describeSources(
  pool: Pool,
  predictor: { readonly name: string; readonly sql: string },
  watched: readonly WatchedSource[],
  declared: readonly string[] = [],
): Promise<Finding[]> {
  const found = await findQueryTables(pool, predictor.sql).catch((error: unknown) => error);
  if (!isFound(found)) {
    const why = found instanceof Error ? found.message : String(found);
    const remedy = 'grant temporary on the database: the query becomes a temporary view, whose tables Postgres knows';
    return [warning(SUBJECT, `which tables the query reads is not known: ${why}`, remedy)];
  }
  const ours = watched.filter(({ predictors }) => predictors.includes(predictor.name));
  return [
    ...found.tables.map((table) => tableFinding(table, ours, declared)),
    ...found.functions.map((name) => ok(SUBJECT, `function ${name}: the tables that it reads are not known here`)),
  ];
}

function isFound(found: unknown): found is Awaited<ReturnType<typeof findQueryTables>> {
  return typeof found === 'object' && found !== null && 'tables' in found;
}

function tableFinding(table: QueryTable, watched: readonly WatchedSource[], declared: readonly string[]): Finding {
  const { name, kind, columns } = table;
  const watch = watched.find((one) => one.name === name);
  if (watch) return watchFinding(watch, columns);
  if (declared.some((one) => one === name || `public.${one}` === name)) {
    return ok(SUBJECT, `${name}: watched once the config is adopted`);
  }
  const text = `${name}: not watched; a change without an event is seen at the next run or at maxAge`;
  if (kind !== 'table') return ok(SUBJECT, `${text} (a ${kind} cannot be watched)`);
  return {
    ...ok(SUBJECT, text),
    remedy: `to see changes at once: tandem watch ${name} --key <column with the user id>`,
  };
}

function watchFinding({ name, key, columns, broken }: WatchedSource, read: readonly string[]): Finding {
  if (broken.length > 0) {
    const by = key === null ? '--everyone' : `--key '${key}'`;
    return warning(
      SUBJECT,
      `${name}: watched in part; missing or disabled: ${broken.join(', ')}`,
      `create them again: tandem watch ${name} ${by}`,
    );
  }
  const unwatched = columns === null ? [] : read.filter((column) => !columns.includes(column) && column !== key);
  if (unwatched.length > 0) {
    const text = `${name}: watched, but not its ${unwatched.length === 1 ? 'column' : 'columns'} ${unwatched.join(', ')}`;
    return warning(SUBJECT, text, `name them in columns, or leave columns out to watch all`);
  }
  const which = columns === null ? '' : ` (${columns.join(', ')})`;
  return ok(SUBJECT, `${name}: watched${which}, ${key === null ? 'a change concerns every user' : `by ${key}`}`);
}
