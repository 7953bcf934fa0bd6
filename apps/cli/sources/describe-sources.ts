/**
 * Describes the tables that the query of a predictor reads, and which of them are watched. `check`, `doctor` and
 * `watch` use this.
 */
import type { Pool } from '@tandem/admission/sample-users';
import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { shellWord } from '@tandem/commands/output/text';
import { isTandemError } from '@tandem/freshness/errors';
import { describeQuery } from '@tandem/offline-store/features/feature-check';
import { findQueryTables, type QueryTable } from '@tandem/offline-store/sources/watchable-table';
import type { DeclaredWatch, WatchedSource } from '@tandem/offline-store/sources/watched-sources';

const SUBJECT = 'sources';

interface Watches {
  readonly watched: readonly WatchedSource[];
  /** The watches that the adopted config declares. */
  readonly adopted: readonly DeclaredWatch[];
  /** The watches of a config that may be adopted next. */
  readonly next?: readonly DeclaredWatch[];
}

export interface ServedQuery {
  readonly name: string;
  readonly sql: string;
}

/**
 * Returns a finding for each table and function of the query, and for each further declared table.
 * @param pool the pool of feature statements
 */
export async function describeSources(pool: Pool, query: ServedQuery, all: Watches): Promise<Finding[]> {
  const ofPredictor = ({ predictor }: DeclaredWatch) => predictor === query.name;
  const watches = {
    watched: all.watched.filter(({ predictors }) => predictors.includes(query.name)),
    adopted: all.adopted.filter(ofPredictor),
    next: (all.next ?? []).filter(ofPredictor),
  };
  const found = await findQueryTables(pool, query.sql).catch((error: unknown) => whyUnknown(pool, query.sql, error));
  if ('level' in found) return [found, ...describeOthers(watches)];
  return [
    ...found.tables.map((table) => tableFinding(query.name, table, watches)),
    ...found.functions.map((name) => ok(SUBJECT, `function ${name}: the tables that it reads are unknown`)),
    ...describeOthers(watches, found.tables),
  ];
}

/**
 * Returns the finding if the tables cannot be found. A query that cannot be parsed is an error; for a valid query, the
 * right to create a view is missing.
 */
async function whyUnknown(pool: Pool, sql: string, error: unknown): Promise<Finding> {
  const refusal = await describeQuery(pool, sql).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (isTandemError(refusal, 'config_invalid')) {
    return failed(SUBJECT, refusal.message, refusal.remedy ?? 'correct the query, then adopt the config');
  }
  if (refusal !== null) throw refusal;
  const why = error instanceof Error ? error.message : String(error);
  const remedy =
    'grant temporary on the database: Tandem then creates a temporary view of the query, whose tables Postgres knows';
  return warning(SUBJECT, `the tables that the query reads are unknown: ${why}`, remedy);
}

function tableFinding(predictor: string, table: QueryTable, { watched, adopted, next }: Required<Watches>): Finding {
  const { oid, name, kind, columns } = table;
  const watch = watched.find((one) => one.oid === oid);
  if (watch) return watchFinding(watch, columns);
  const declared = adopted.find((one) => one.oid === oid);
  const former = watched.find((one) => one.watchedAs === name);
  if (former) return lostFinding(predictor, former, { name, isDeclared: declared !== undefined });
  if (declared) return unwatchedFinding(declared, name);
  if (next.some((one) => one.oid === oid)) return ok(SUBJECT, `${name}: watched after the adoption of the config`);
  const text = `${name}: not watched; a change without an event takes effect at the next run or at maxAge`;
  if (kind !== 'table') return ok(SUBJECT, `${text} (a ${kind} cannot be watched)`);
  return {
    ...ok(SUBJECT, text),
    remedy: `if changes should take effect at once: tandem watch ${name} --key <column with the user id>, or --everyone if a row belongs to all users`,
  };
}

interface LostTable {
  readonly name: string;
  /** Whether the adopted config names the table. */
  readonly isDeclared: boolean;
}

/** Returns a finding if another table now has the name, or if the triggers were dropped. */
function lostFinding(predictor: string, former: WatchedSource, { name, isDeclared }: LostTable): Finding {
  const { oid, name: now, key } = former;
  const where = oid === null ? 'its triggers are missing' : `the triggers are on ${now}, which had this name before`;
  const watch = watchCommand({ predictor, table: name, key });
  const remedy = `${isDeclared ? `tandem adopt, or ${watch}` : watch}; ${scoreMissed(predictor)}`;
  return warning(SUBJECT, `${name}: no longer watched: ${where}`, remedy);
}

function unwatchedFinding(declared: DeclaredWatch, name: string): Finding {
  const text = `${name}: not watched, although features.watch of the adopted config names it`;
  const remedy = `tandem adopt, or ${watchCommand({ ...declared, table: name })}; ${scoreMissed(declared.predictor)}`;
  return warning(SUBJECT, text, remedy);
}

function watchCommand({ predictor, table, key }: Pick<DeclaredWatch, 'predictor' | 'table' | 'key'>): string {
  return `tandem watch ${table} ${keyOption(key)} --predictors ${predictor}`;
}

function scoreMissed(predictor: string): string {
  return `then score users who changed meanwhile: tandem run start ${predictor}`;
}

export function keyOption(key: string | null): string {
  return key === null ? '--everyone' : `--key ${shellWord(key)}`;
}

/** Describes declared and watched tables that the query does not name; all of them if its tables are unknown. */
function describeOthers({ watched, adopted }: Required<Watches>, tables?: readonly QueryTable[]): Finding[] {
  const isOther = ({ oid }: { readonly oid: number | null }) => !tables?.some((table) => table.oid === oid);
  const others = watched.filter((one) => one.oid !== null && isOther(one));
  const missing = adopted.filter((one) => isOther(one) && !others.some(({ oid }) => oid === one.oid));
  return [
    ...others.map((watch) => {
      const finding = watchFinding(watch, []);
      return tables ? { ...finding, text: `${finding.text}; the query does not name it` } : finding;
    }),
    ...missing.map((declared) => {
      if (declared.oid !== null) return unwatchedFinding(declared, declared.table);
      const text = `${declared.table}: features.watch of the adopted config names this table, but it does not exist`;
      return warning(SUBJECT, text, 'create it, or remove it from features.watch; then run tandem adopt');
    }),
  ];
}

function watchFinding(watch: WatchedSource, read: readonly string[]): Finding {
  const { name, key, columns, broken, faults, isLookedUpEarly } = watch;
  if (broken.length > 0) {
    return warning(
      SUBJECT,
      `${name}: watched in part; missing or disabled: ${broken.join(', ')}`,
      `create them again: tandem watch ${name} ${keyOption(key)}`,
    );
  }
  if (faults.length > 0) {
    const text = `${name}: may have missed changes, so reads are answered live: ${faults.join('; ')}`;
    return warning(SUBJECT, text, `as the table's owner, with a key that fits: tandem watch ${name} ${keyOption(key)}`);
  }
  if (isLookedUpEarly) {
    const text = `${name}: the key is looked up before the commit, and misses concurrent changes of the parent row`;
    const remedy = 'add a valid foreign key to the parent table, watch the parent table, then watch again';
    return warning(SUBJECT, text, `${remedy}: tandem watch ${name} ${keyOption(key)}`);
  }
  const unwatched = columns === null ? [] : read.filter((column) => !columns.includes(column) && column !== key);
  if (unwatched.length > 0) {
    const text = `${name}: watched, but not its ${unwatched.length === 1 ? 'column' : 'columns'} ${unwatched.join(', ')}`;
    return warning(
      SUBJECT,
      text,
      `add them to the watch (--columns of tandem watch), or leave out --columns to watch all columns`,
    );
  }
  const which = columns === null ? '' : ` (${columns.join(', ')})`;
  return ok(SUBJECT, `${name}: watched${which}, ${key === null ? 'a change concerns every user' : `by ${key}`}`);
}
