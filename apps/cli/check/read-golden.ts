/** Reads expected predictions that training exported: a CSV file with a column of user ids and columns of outputs. */
import type { OutputField } from '@tandem/freshness/predictor';
import { checkUserId, type KeyType } from '@tandem/freshness/user-id';
import { CommandFailure } from '../command-line/failure.ts';
import { lineFailure } from '../command-line/read-text-file.ts';
import { type CsvRow, readCsv } from '../csv/read-csv.ts';
import { count } from '../output/text.ts';

/** The place of a value in a prediction. */
interface GoldenOutput {
  /** The column of the file. */
  readonly column: string;
  /** The field of the prediction. */
  readonly field: string;
  /** The index from 0, for a field with several values. */
  readonly index: number | null;
}

export interface GoldenUser {
  readonly userId: string;
  /** Expected values in the order of `outputs`; numbers for outputs of numbers or booleans. */
  readonly expected: readonly (number | string)[];
}

export interface Golden {
  readonly outputs: readonly GoldenOutput[];
  readonly users: readonly GoldenUser[];
}

interface GoldenTarget {
  readonly keyType: KeyType;
  readonly outputs: readonly OutputField[];
  /** The column of user ids; null: `user_id`, or the only column that is not an output. */
  readonly key: string | null;
}

/** The most users. All are kept in memory, and read again if the order of columns is searched. */
const MOST_GOLDEN_USERS = 10_000;

interface Layout {
  readonly keyAt: number;
  readonly columns: readonly (GoldenOutput & { readonly at: number; readonly isText: boolean })[];
}

/** Reads the file. Rejects with a CommandFailure that names file and line. */
export async function readGolden(file: string, target: GoldenTarget): Promise<Golden> {
  const users = new Map<string, GoldenUser>();
  let layout: Layout | undefined;
  for await (const { names, rows } of readCsv(file)) {
    layout ??= layoutOf(names, target, file);
    for (const row of rows) {
      const user = userOf(row, layout, target.keyType, file);
      if (users.has(user.userId)) {
        throw lineFailure(file, row.line, `user ${user.userId} occurs twice`, 'write one row for each user');
      }
      users.set(user.userId, user);
    }
    if (users.size > MOST_GOLDEN_USERS) throw tooMany(file);
  }
  if (layout === undefined || users.size === 0) {
    throw lineFailure(
      file,
      2,
      'the file has no user',
      'below the header, write one row for each user, with the id and the expected outputs',
    );
  }
  const outputs = layout.columns.map(({ column, field, index }) => ({ column, field, index }));
  return { outputs, users: [...users.values()] };
}

function tooMany(file: string): CommandFailure {
  const most = count(MOST_GOLDEN_USERS);
  return new CommandFailure(`${file} has more than ${most} users`, { remedy: `write at most ${most} users` });
}

function layoutOf(names: readonly string[], { outputs, key }: GoldenTarget, file: string): Layout {
  const columns = names.flatMap((column, at) => {
    const found = outputOf(column, outputs);
    return found && column !== key ? [{ ...found, column, at }] : [];
  });
  if (columns.length === 0) {
    const wanted = outputs.flatMap(columnNames).join(', ');
    const remedy = `name at least one column like an output of the config: ${wanted}`;
    throw lineFailure(file, 1, `no column is an output: ${names.join(', ')}`, remedy);
  }
  return { keyAt: keyPlace(names, columns, key, file), columns };
}

function keyPlace(
  names: readonly string[],
  outputs: readonly { readonly at: number }[],
  key: string | null,
  file: string,
): number {
  const named = names.indexOf(key ?? 'user_id');
  if (named >= 0) return named;
  const others = names.flatMap((_, at) => (outputs.some((output) => output.at === at) ? [] : [at]));
  if (key === null && others.length === 1) return others[0] ?? 0;
  const problem = key === null ? 'no column is named user_id' : `no column is named ${key}`;
  throw lineFailure(file, 1, problem, `set --key to the column of user ids, one of ${names.join(', ')}`);
}

/**
 * Returns the place of a column: `score`, `perClass_0` for a field with several values, or `score` for the only output.
 */
function outputOf(column: string, outputs: readonly OutputField[]) {
  for (const field of outputs) {
    const index = columnNames(field).indexOf(column);
    if (index >= 0) return described(field, field.width === null ? null : index);
  }
  const [only, ...more] = outputs;
  if (column !== 'score' || only === undefined || more.length > 0 || only.width !== null) return undefined;
  return described(only, null);
}

function described({ name, type }: OutputField, index: number | null) {
  return { field: name, index, isText: type === 'string' };
}

function columnNames({ name, width }: OutputField): string[] {
  return width === null ? [name] : Array.from({ length: width }, (_, i) => `${name}_${i}`);
}

function userOf({ line, cells }: CsvRow, { keyAt, columns }: Layout, keyType: KeyType, file: string): GoldenUser {
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
