/** Reads expected predictions that training exported: a CSV file with a column of user ids and columns of outputs. */

import { type CsvRow, readCsv } from '@tandem/commands/csv/read-csv';
import { CommandFailure } from '@tandem/commands/failure';
import { count } from '@tandem/commands/output/text';
import { lineFailure } from '@tandem/commands/read-text-file';
import type { OutputField } from '@tandem/freshness/predictor';
import { checkUserId, type KeyType } from '@tandem/freshness/user-id';

/** The columns of the file, each with the field of the prediction and, for a field with several values, the index. */
export type Golden = Awaited<ReturnType<typeof readGolden>>;

/** Expected values of a user, in the order of `outputs`; numbers for outputs of numbers or booleans. */
export type GoldenUser = ReturnType<typeof userOf>;

interface GoldenTarget {
  readonly keyType: KeyType;
  readonly outputs: readonly OutputField[];
  /** The column of user ids; null: `user_id`, or the only column that is not an output. */
  readonly key: string | null;
}

/** The most users. All are kept in memory, and read again if the order of columns is searched. */
const MOST = 10_000;

/** Reads the file. Rejects with a CommandFailure that names file and line. */
export async function readGolden(file: string, target: GoldenTarget) {
  const users = new Map<string, GoldenUser>();
  let layout: ReturnType<typeof layoutOf> | undefined;
  for await (const { names, rows } of readCsv(file)) {
    layout ??= layoutOf(names, target, file);
    for (const row of rows) {
      const user = userOf(row, layout, target.keyType, file);
      if (users.has(user.userId)) {
        throw lineFailure(file, row.line, `user ${user.userId} occurs twice`, 'write one row for each user');
      }
      users.set(user.userId, user);
    }
    if (users.size > MOST) {
      throw new CommandFailure(`${file} has more than ${count(MOST)} users`, {
        remedy: `write at most ${count(MOST)} users`,
      });
    }
  }
  if (layout === undefined || users.size === 0) {
    const remedy = 'below the header, write one row for each user, with the id and the expected outputs';
    throw lineFailure(file, 2, 'the file has no user', remedy);
  }
  const outputs = layout.columns.map(({ column, field, index }) => ({ column, field, index }));
  return { outputs, users: [...users.values()] };
}

/** Returns the positions of the columns of user ids and of outputs. */
function layoutOf(names: readonly string[], { outputs, key }: GoldenTarget, file: string) {
  const places = new Map(outputs.flatMap(placesOf));
  const wanted = [...places.keys()].join(', ');
  const [only] = places.size === 1 ? places.values() : [];
  // The only output may also be named `score`.
  if (only?.index === null) places.set('score', only);
  const columns = names.flatMap((column, at) => {
    const place = places.get(column);
    return place && column !== key ? [{ ...place, column, at }] : [];
  });
  if (columns.length === 0) {
    const remedy = `name at least one column like an output of the config: ${wanted}`;
    throw lineFailure(file, 1, `no column is an output: ${names.join(', ')}`, remedy);
  }
  const named = names.indexOf(key ?? 'user_id');
  const others = [...names.keys()].filter((at) => columns.every((column) => column.at !== at));
  const keyAt = named < 0 && key === null && others.length === 1 ? others[0] : named;
  if (keyAt !== undefined && keyAt >= 0) return { keyAt, columns };
  const remedy = `set --key to the column of user ids, one of ${names.join(', ')}`;
  throw lineFailure(file, 1, `no column is named ${key ?? 'user_id'}`, remedy);
}

/** Returns the columns of an output, such as `score`, or `perClass_0` and `perClass_1`, each with its place. */
function placesOf({ name: field, type, width }: OutputField) {
  const place = (index: number | null) => ({ field, index, isText: type === 'string' });
  if (width === null) return [[field, place(null)] as const];
  return Array.from({ length: width }, (_, index) => [`${field}_${index}`, place(index)] as const);
}

function userOf(
  { line, cells }: CsvRow,
  { keyAt, columns }: ReturnType<typeof layoutOf>,
  keyType: KeyType,
  file: string,
) {
  const userId = cells[keyAt] ?? '';
  const check = checkUserId(keyType, userId);
  if (!check.ok) {
    const remedy = check.canonical === undefined ? 'write the id as the query returns it' : `write ${check.canonical}`;
    throw lineFailure(file, line, `${JSON.stringify(userId)} is not a user id: ${check.problem}`, remedy);
  }
  const expected = columns.map(({ column, at, isText }) => {
    const cell = cells[at] ?? '';
    return isText ? cell : numberOf(cell, column, line, file);
  });
  return { userId, expected };
}

const BOOLEANS: Readonly<Record<string, number>> = { true: 1, false: 0 };

function numberOf(cell: string, column: string, line: number, file: string): number {
  const value = BOOLEANS[cell.toLowerCase()] ?? (cell.trim() === '' ? Number.NaN : Number(cell));
  if (Number.isFinite(value)) return value;
  const problem = cell.trim() === '' ? `${column} is empty` : `${column} is ${JSON.stringify(cell)}, not a number`;
  throw lineFailure(file, line, problem, 'write the expected number, or remove the row');
}
