/**
 * The SQL of a watched table's trigger function and triggers. The function finds the users whose rows a statement
 * changed. tandem.source_changed (migrations/0073) notes them, and the commit raises their versions. It runs with the rights of the schema's
 * owner, so that the application needs no rights in `tandem`. Its text is fixed when the table is watched, and only the
 * owner can change it.
 *
 * A statement's old and new rows are compared as sets: a user with the same rows afterwards, in any order, has not
 * changed. A row that moves to another user changes both users.
 */
import pg from 'pg';
import { quoteName } from '../features/feature-statement.ts';

interface WatchTrigger {
  readonly id: number;
  /** The SQL expression of the user id over a row, alias `changed`; null: a row belongs to every user. */
  readonly key: string | null;
  /** The watched columns; null: all. */
  readonly columns: readonly string[] | null;
  /** The columns that the key reads, with their types, if it looks up other tables; else null. */
  readonly lookup: readonly LookupColumn[] | null;
  readonly maxUsers: number;
  /** The columns whose values are stored, if the table has others; else null. */
  readonly stored: readonly string[] | null;
  /** Whether every column type has a binary form, which is compared ten times as fast as text. */
  readonly hasBinaryForm: boolean;
}

export interface LookupColumn {
  readonly name: string;
  /** The type as SQL writes it. */
  readonly type: string;
}

export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const;

export function functionName(id: number): string {
  return `tandem.watch_${id}`;
}

export function triggerName(operation: string): string {
  return `tandem_watch_${operation}`;
}

const TRANSITIONS: Readonly<Record<string, string>> = {
  insert: 'referencing new table as tandem_new',
  update: 'referencing old table as tandem_old new table as tandem_new',
  delete: 'referencing old table as tandem_old',
  truncate: '',
};

/**
 * Returns SQL that creates a trigger on a table.
 * @param relation the table's name, quoted
 */
export function createTriggerSql(relation: string, operation: string, id: number): string {
  return `create or replace trigger ${triggerName(operation)} after ${operation} on ${relation}
    ${TRANSITIONS[operation]} for each statement execute function ${functionName(id)}()`;
}

/**
 * Returns SQL that creates the trigger function. Its settings are fixed, so that no session can make two different
 * values look equal or substitute other operators. Row security fails a look-up rather than hide a parent row.
 */
export function createFunctionSql(watch: WatchTrigger): string {
  const body = watch.key === null ? everyoneBody(watch) : usersBody(watch, watch.key);
  return functionSql(`${functionName(watch.id)}() returns trigger`, body);
}

/** The name of the function that evaluates a key at commit, if the key looks up other tables. */
export function lookupName(id: number): string {
  return `tandem.watch_${id}_users`;
}

/** Returns SQL that creates the function of `lookupName`, from the noted columns of rows to sorted user ids. */
export function createLookupSql(id: number, key: string, lookup: readonly LookupColumn[]): string {
  const columns = lookup.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', ');
  const rows = `select ${keySql(key)} as user_id from jsonb_to_recordset(lookups) as changed(${columns})`;
  return functionSql(
    `${lookupName(id)}(lookups jsonb) returns text[]`,
    `
begin
  return array(select distinct user_id from (${rows}) c where ${IS_USER_ID} order by user_id);
end`,
  );
}

function functionSql(signature: string, body: string): string {
  return `create or replace function ${signature} language plpgsql security definer
    set search_path = pg_catalog, pg_temp set extra_float_digits = 1 set jit = off set standard_conforming_strings = on set row_security = off
    as ${pg.escapeLiteral(body)}`;
}

/** Values that cannot be user ids have no prediction that could be stale. */
const IS_USER_ID = "octet_length(user_id) between 1 and 128 and user_id not in ('.', '..')";

/**
 * The errors that a change of a table or function causes. They mark the watch as faulted; the application's statement
 * succeeds. An error of a value, such as a division by zero, fails the statement.
 */
const STRUCTURAL = 'syntax_error_or_access_rule_violation or invalid_schema_name or feature_not_supported';

function usersBody(watch: WatchTrigger, key: string): string {
  const { id, lookup, maxUsers } = watch;
  const userId = lookup === null ? keySql(key) : lookupSql(lookup);
  const values = valuesSql(watch);
  const limit = `limit ${maxUsers + 1}`;
  // The distinct look-ups of a statement, else its users.
  const sorted = (rows: string) =>
    lookup === null
      ? `array(select distinct user_id from (${rows}) c where ${IS_USER_ID} order by user_id ${limit})`
      : `array(select distinct user_id from (${rows}) c where user_id is not null ${limit})`;
  const of = (rows: string) => `select ${userId} as user_id from ${rows} changed`;
  const users = `case when cardinality(users) <= ${maxUsers} then users end`;
  const lookups = `case when cardinality(users) <= ${maxUsers} then array_to_json(users::json[])::jsonb end`;
  return `
declare
  users text[];
begin
  begin
    case tg_op
      when 'INSERT' then users := ${sorted(of('tandem_new'))};
      when 'DELETE' then users := ${sorted(of('tandem_old'))};
      when 'UPDATE' then users := ${sorted(`select user_id from (
          select ${userId} as user_id, ${values} as row, 1 as n from tandem_new changed
          union all select ${userId}, ${values}, -1 from tandem_old changed) both_sides
        group by user_id, row having sum(n) <> 0`)};
      else
    end case;
  exception when ${STRUCTURAL} then
    perform tandem.fault_watch(${id}, 'key', sqlerrm);
    return null;
  end;
  ${
    lookup === null
      ? `perform tandem.source_changed(${id}, ${users});`
      : `if users is null or cardinality(users) > 0 then perform tandem.source_changed(${id}, null, ${lookups}); end if;`
  }
  return null;
end`;
}

/** Returns SQL of the columns that a key reads, as the text of a JSON object; null if each of them is null. */
function lookupSql(lookup: readonly LookupColumn[]): string {
  const columns = lookup.map(({ name }) => `${pg.escapeLiteral(name)}, changed.${quoteName(name)}`);
  const anyKnown = lookup.map(({ name }) => `changed.${quoteName(name)} is not null`);
  return `case when ${anyKnown.join(' or ')} then jsonb_build_object(${columns.join(', ')})::text collate "C" end`;
}

function everyoneBody(watch: WatchTrigger): string {
  const { id } = watch;
  const values = valuesSql(watch);
  return `
declare
  is_changed boolean := true;
begin
  begin
    case tg_op
      when 'INSERT' then is_changed := exists (select from tandem_new);
      when 'DELETE' then is_changed := exists (select from tandem_old);
      when 'UPDATE' then is_changed := exists (select from (
          select ${values} as row, 1 as n from tandem_new changed
          union all select ${values}, -1 from tandem_old changed) both_sides
        group by row having sum(n) <> 0);
      else
    end case;
  exception when ${STRUCTURAL} then
    perform tandem.fault_watch(${id}, 'key', sqlerrm);
    return null;
  end;
  if is_changed then perform tandem.source_changed(${id}, null); end if;
  return null;
end`;
}

/** Returns the expression in brackets. The line breaks end a trailing comment before the bracket. */
export function keySql(key: string): string {
  return `(\n${key}\n)::text collate "C"`;
}

/** A virtual column has no value in a trigger's rows, and changes only with the columns that it is computed from. */
function valuesSql({ columns: chosen, stored, hasBinaryForm }: WatchTrigger): string {
  const columns = chosen ?? stored;
  const row = columns === null ? 'changed' : `row(${columns.map((name) => `changed.${quoteName(name)}`).join(', ')})`;
  return hasBinaryForm ? `record_send(${row})` : `${row}::text collate "C"`;
}
