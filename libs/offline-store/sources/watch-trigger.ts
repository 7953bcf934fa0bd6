/**
 * The SQL of a watched table's trigger function. The function finds the users whose rows a statement changed.
 * tandem.source_changed (migrations/0073) notes them, and the commit raises their versions. The function runs with the
 * rights of the schema's owner, so that the application needs no rights in `tandem`. Its text is fixed when the table is
 * watched, and only the owner can change it. Migration 0074 creates its triggers.
 *
 * A statement's old and new rows are compared as sets: a user with the same rows afterwards, in any order, has not
 * changed. A row that moves to another user changes both users.
 */
import pg from 'pg';
import { quoteName } from '../features/feature-statement.ts';
import type { WatchRequest } from './watch-request.ts';

interface WatchTrigger extends Required<Pick<WatchRequest, 'key' | 'columns' | 'maxUsers'>> {
  readonly id: number;
  /** The columns that the key reads, with their types, if it looks up other tables; else null. */
  readonly lookup: readonly LookupColumn[] | null;
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
  return array(select distinct user_id from (${rows}) c where ${isUserId('user_id')} order by user_id);
end`,
  );
}

function functionSql(signature: string, body: string): string {
  return `create or replace function ${signature} language plpgsql security definer
    set search_path = pg_catalog, pg_temp set extra_float_digits = 1 set jit = off set standard_conforming_strings = on set row_security = off
    as ${pg.escapeLiteral(body)}`;
}

/** Returns SQL that excludes values which cannot be user ids: they have no prediction that could be stale. */
function isUserId(value: string): string {
  return `octet_length(${value}) between 1 and 128 and ${value} not in ('.', '..')`;
}

/**
 * Returns the end of a block in a trigger function. An error that a change of a table or function causes marks the watch
 * as faulted, and the application's statement succeeds. An error of a value, such as a division by zero, fails the
 * statement.
 */
function orFault(id: number): string {
  return `exception when syntax_error_or_access_rule_violation or invalid_schema_name or feature_not_supported then
    perform tandem.fault_watch(${id}, 'key', sqlerrm);
    return null;
  end;`;
}

/**
 * Returns the body of the function for a key. It finds the users of a statement, or, if the key looks up other tables, the
 * columns from which the commit finds them.
 */
function usersBody(watch: WatchTrigger, key: string): string {
  const { id, lookup, maxUsers } = watch;
  const [item, isCounted] = lookup === null ? [keySql(key), isUserId('item')] : [lookupSql(lookup), 'item is not null'];
  const values = valuesSql(watch);
  const distinct = (rows: string) =>
    `array(select distinct item from (${rows}) c where ${isCounted} order by item limit ${maxUsers + 1})`;
  const of = (rows: string) => `select ${item} as item from ${rows} changed`;
  const bounded = (value: string) => `case when cardinality(items) <= ${maxUsers} then ${value} end`;
  const changes = lookup === null ? bounded('items') : `null, ${bounded('array_to_json(items::json[])::jsonb')}`;
  return `
declare
  items text[];
begin
  begin
    case tg_op
      when 'INSERT' then items := ${distinct(of('tandem_new'))};
      when 'DELETE' then items := ${distinct(of('tandem_old'))};
      when 'UPDATE' then items := ${distinct(`select item from (
          select ${item} as item, ${values} as row, 1 as n from tandem_new changed
          union all select ${item}, ${values}, -1 from tandem_old changed) both_sides
        group by item, row having sum(n) <> 0`)};
      else
    end case;
  ${orFault(id)}
  if items is null or cardinality(items) > 0 then perform tandem.source_changed(${id}, ${changes}); end if;
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
  ${orFault(id)}
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
