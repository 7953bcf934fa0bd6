/**
 * The SQL of a watched table's trigger function and triggers. The function finds the users whose rows a statement
 * changed, and tandem.source_changed (migrations/0040) raises their versions. It runs with the rights of the schema's
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
  readonly maxUsers: number;
  /** Whether every column type has a binary form, which is compared ten times as fast as text. */
  readonly hasBinaryForm: boolean;
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
 * values look equal or substitute other operators.
 */
export function createFunctionSql(watch: WatchTrigger): string {
  const body = watch.key === null ? everyoneBody(watch) : usersBody(watch, watch.key);
  return `create or replace function ${functionName(watch.id)}() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set extra_float_digits = 1 set jit = off set standard_conforming_strings = on
    as ${pg.escapeLiteral(body)}`;
}

function usersBody(watch: WatchTrigger, key: string): string {
  const { id, maxUsers } = watch;
  const userId = keySql(key);
  const values = valuesSql(watch);
  // Values that cannot be user ids have no prediction that could be stale.
  const sorted = (rows: string) => `array(select distinct user_id from (${rows}) c
      where octet_length(user_id) between 1 and 128 and user_id not in ('.', '..') order by user_id limit ${maxUsers + 1})`;
  const of = (rows: string) => `select ${userId} as user_id from ${rows} changed`;
  return `
declare
  users text[];
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
  perform tandem.source_changed(${id}, case when cardinality(users) <= ${maxUsers} then users end);
  return null;
end`;
}

function everyoneBody(watch: WatchTrigger): string {
  const { id } = watch;
  const values = valuesSql(watch);
  return `
declare
  is_changed boolean := true;
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
  if is_changed then perform tandem.source_changed(${id}, null); end if;
  return null;
end`;
}

/** Returns the expression in brackets. The line breaks end a trailing comment before the bracket. */
export function keySql(key: string): string {
  return `(\n${key}\n)::text collate "C"`;
}

function valuesSql({ columns, hasBinaryForm }: WatchTrigger): string {
  const row = columns === null ? 'changed' : `row(${columns.map((name) => `changed.${quoteName(name)}`).join(', ')})`;
  return hasBinaryForm ? `record_send(${row})` : `${row}::text collate "C"`;
}
