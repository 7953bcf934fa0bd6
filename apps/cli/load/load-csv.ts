/** Creates a table from a CSV file. It reads the file twice: for the types, and for the rows. */
import { basename } from 'node:path';
import type { ReportProgress } from '@tandem/admission/report-progress';
import type { Pool } from '@tandem/admission/sample-users';
import { type CsvRow, readCsv } from '@tandem/commands/csv/read-csv';
import type { CommandFailure } from '@tandem/commands/failure';
import { findByName, suggestion } from '@tandem/commands/names';
import { lineFailure } from '@tandem/commands/read-text-file';
import { type LoadedTable, type LoadOutcome, loadTable, RowRefused } from '@tandem/offline-store/sources/load-table';
import { addCell, type ColumnFacts, type ColumnType, described, newColumn } from './infer-columns.ts';

interface LoadRequest {
  readonly file: string;
  /** The column of user ids. */
  readonly key: string;
  /** The table, as `table` or `schema.table`; null: named after the file. */
  readonly table: string | null;
  /** Whether the rows of an existing table are replaced. */
  readonly replace: boolean;
}

export interface LoadReport {
  readonly table: string;
  readonly outcome: LoadOutcome;
  readonly rows: number;
  readonly key: string;
  readonly columns: readonly { readonly name: string; readonly type: ColumnType; readonly nulls: number }[];
}

/** The longest name; Postgres truncates longer names. */
const MOST_NAME_BYTES = 63;
const MOST_COLUMNS = 1_600;

/** Loads the file. Rejects with a CommandFailure that names file and line, or with `invalid_input` for the table. */
export async function loadCsv(pool: Pool, request: LoadRequest, reportProgress: ReportProgress): Promise<LoadReport> {
  const { file, replace } = request;
  const name = request.table ?? tableNameOf(file);
  const seen = await reportProgress(`reading the types of ${basename(file)}`, () => readTypes(file, request.key));
  const columns = seen.columns.map((facts) => described(facts, facts.name === seen.key));
  const table: LoadedTable = { name, columns, key: seen.key };
  const outcome = await reportProgress(`copying ${basename(file)} to ${name}`, () =>
    loadTable(pool, table, encode(file, table), { replace }).catch(async (error: unknown) => {
      throw error instanceof RowRefused ? await explainRow(error, file, table) : error;
    }),
  );
  return { table: name, outcome, rows: seen.rows, key: seen.key, columns };
}

/**
 * Returns the name of the table for a file, without characters that need quotation marks in SQL: `data/Customers
 * 2026.csv` becomes `customers_2026`.
 */
function tableNameOf(file: string): string {
  const name = basename(file)
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_]+/gu, '_');
  return /^\d/.test(name) ? `t_${name}` : name;
}

async function readTypes(file: string, saidKey: string) {
  let columns: ColumnFacts[] = [];
  let keyAt = -1;
  let rows = 0;
  for await (const batch of readCsv(file)) {
    if (columns.length === 0) {
      checkNames(batch.names, file);
      columns = batch.names.map(newColumn);
      keyAt = keyPlace(batch.names, saidKey, file);
    }
    for (const row of batch.rows) {
      for (const [i, column] of columns.entries()) addCell(column, row.cells[i] ?? '');
      if ((row.cells[keyAt] ?? '').trim() === '') throw emptyKey(file, row, columns[keyAt]?.name ?? '');
    }
    rows += batch.rows.length;
  }
  return { columns, rows, key: columns[keyAt]?.name ?? '' };
}

function checkNames(names: readonly string[], file: string): void {
  const long = names.find((name) => Buffer.byteLength(name) > MOST_NAME_BYTES);
  if (long !== undefined) {
    throw lineFailure(file, 1, `the name ${long} has more than ${MOST_NAME_BYTES} bytes`, 'shorten it');
  }
  if (names.length <= MOST_COLUMNS) return;
  throw lineFailure(
    file,
    1,
    `the file has ${names.length} columns, but a table can have at most ${MOST_COLUMNS}`,
    'leave some out',
  );
}

function keyPlace(names: readonly string[], key: string, file: string): number {
  const found = findByName(
    key,
    names.map((name) => ({ name })),
  );
  if (found) return names.indexOf(found.name);
  throw lineFailure(
    file,
    1,
    `no column is named ${key}`,
    `set --key to the column of user ids: ${suggestion(key, names)}`,
  );
}

function emptyKey(file: string, { line }: CsvRow, key: string): CommandFailure {
  return lineFailure(file, line, `${key} is empty`, 'give each row a user id, or remove the row');
}

/** Yields the rows in the text format of COPY. */
async function* encode(file: string, { columns }: LoadedTable): AsyncGenerator<Buffer> {
  const isText = columns.map(({ type }) => type === 'text');
  for await (const { rows } of readCsv(file)) {
    let text = '';
    for (const { line, cells } of rows) {
      for (let i = 0; i < isText.length; i++) {
        const cell = cells[i] ?? '';
        text += i === 0 ? '' : '\t';
        text += isText[i] ? encodeText(cell, file, line) : cell.trim() || '\\N';
      }
      text += '\n';
    }
    yield Buffer.from(text);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function encodeText(cell: string, file: string, line: number): string {
  if (cell === '') return '\\N';
  if (cell.includes('\0')) throw lineFailure(file, line, 'a text has a NUL character', 'remove it: tr -d "\\000"');
  return /[\\\t\n\r]/.test(cell) ? cell.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? '') : cell;
}

/** Finds the line of a row that Postgres rejected, and of the earlier row with the same key. */
async function explainRow(refused: RowRefused, file: string, { columns, key }: LoadedTable): Promise<CommandFailure> {
  const keyAt = columns.findIndex(({ name }) => name === key);
  const row = await findRow(file, (_, no) => no === refused.row);
  const userId = row?.cells[keyAt] ?? '';
  if (!refused.isDuplicate) return lineFailure(file, row?.line ?? 0, refused.message, 'correct the value');
  const first = await findRow(file, ({ cells }) => cells[keyAt]?.trim() === userId.trim());
  return lineFailure(
    file,
    row?.line ?? 0,
    `${key} ${userId} already occurs in line ${first?.line ?? '?'}`,
    'keep one row for each user: aggregate the file before loading it, or set --key to another column',
  );
}

async function findRow(file: string, isIt: (row: CsvRow, no: number) => boolean): Promise<CsvRow | undefined> {
  let no = 0;
  for await (const { rows } of readCsv(file)) {
    for (const row of rows) if (isIt(row, ++no)) return row;
  }
  return undefined;
}
