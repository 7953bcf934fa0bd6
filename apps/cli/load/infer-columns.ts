/** Infers the types of a CSV file's columns. Each column gets the narrowest type that fits all its values. */
import type { LoadedColumn } from '@tandem/offline-store/sources/load-table';

export type ColumnType = LoadedColumn['type'];

/**
 * The facts about the values of a column so far. `candidates` are the types that fit all values; if there are none, the
 * column is text. `blank` cells have only spaces. They are null, except in a column of texts.
 */
export type ColumnFacts = ReturnType<typeof newColumn>;

/** Column types, the narrowest first. */
const TYPES: readonly ColumnType[] = ['bigint', 'double precision', 'boolean', 'date', 'timestamp with time zone'];

export function newColumn(name: string) {
  return { name, candidates: TYPES, values: 0, empty: 0, blank: 0 };
}

/** Adds one cell. */
export function addCell(column: ColumnFacts, cell: string): void {
  if (cell === '') column.empty++;
  else if (column.candidates.length === 0) column.values++;
  else addValue(column, cell.trim());
}

function addValue(column: ColumnFacts, value: string): void {
  if (value === '') {
    column.blank++;
    return;
  }
  column.values++;
  if (column.candidates.every((type) => hasType(value, type))) return;
  column.candidates = column.candidates.filter((type) => hasType(value, type));
}

/** Returns the column of the table, with its number of nulls. */
export function described(column: ColumnFacts, isKey: boolean) {
  const type = typeOf(column, isKey);
  return { name: column.name, type, nulls: column.empty + (type === 'text' ? 0 : column.blank) };
}

/**
 * Returns the type of a column. It is text if no other type fits, if there is no value, or for a key that does not have
 * whole numbers.
 */
function typeOf({ candidates, values }: ColumnFacts, isKey: boolean): ColumnType {
  const [narrowest = 'text'] = candidates;
  if (values === 0 || (isKey && narrowest !== 'bigint')) return 'text';
  return narrowest;
}

const WHOLE = /^-?(0|[1-9]\d*)$/;
/** Matches a number without leading zeros, since 007 is a text. */
const NUMBER = /^[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/;
const NO_NUMBER = /^([-+]?inf(inity)?|nan)$/i;
const BOOLEAN = /^(true|false)$/i;
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME =
  /^(\d{4}-\d{2}-\d{2})[ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?( ?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?))?$/;

function hasType(value: string, type: ColumnType): boolean {
  switch (type) {
    case 'bigint':
      return WHOLE.test(value) && fitsInt8(value);
    case 'double precision':
      return isDouble(value);
    case 'boolean':
      return BOOLEAN.test(value);
    case 'date':
      return isDate(value);
    case 'timestamp with time zone':
      return isDate(value) || isDate(TIME.exec(value)?.[1] ?? '');
    case 'text':
      return true;
  }
}

function fitsInt8(value: string): boolean {
  return value.length < 19 || BigInt.asIntN(64, BigInt(value)) === BigInt(value);
}

/**
 * Returns whether a double can represent the value. A whole number beyond bigint is probably an id, and a double would
 * change it.
 */
function isDouble(value: string): boolean {
  if (NO_NUMBER.test(value)) return true;
  if (!NUMBER.test(value) || (WHOLE.test(value) && !fitsInt8(value))) return false;
  const number = Number(value);
  // Postgres rejects numbers that a double cannot represent, also those that are too small.
  return Number.isFinite(number) && (number !== 0 || !/^[^eE]*[1-9]/.test(value));
}

function isDate(value: string): boolean {
  const [, year, month, day] = (DATE.exec(value) ?? []).map(Number);
  if (!year || !month || !day) return false;
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
