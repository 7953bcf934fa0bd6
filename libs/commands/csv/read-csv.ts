/**
 * Reads a CSV file (RFC 4180, UTF-8, with a header line) of any length in batches of rows. A quoted cell may contain line
 * breaks. Memory is bounded by a batch and the longest row.
 */
import { CsvError, parse } from 'csv-parse';
import { CommandFailure } from '../failure.ts';
import { counted } from '../output/text.ts';
import { countOf, lineFailure, readTexts } from '../read-text-file.ts';

export interface CsvRow {
  /** The number of the row's first line in the file, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

interface CsvBatch {
  /** The names in the header line; none is empty or repeated. */
  readonly names: readonly string[];
  /** Rows with one cell for each name. The only batch of a file without rows is empty. */
  readonly rows: readonly CsvRow[];
}

/** The largest row. A larger row is treated as an unclosed quotation mark. */
const MOST_ROW_BYTES = 1 << 24;

/** Reads the file. Rejects with a CommandFailure that names file and line. */
export async function* readCsv(file: string): AsyncGenerator<CsvBatch> {
  let names: readonly string[] | undefined;
  let hasRows = false;
  for await (const records of readRecords(file)) {
    const rows = names === undefined ? records.slice(1) : records;
    names ??= headOf(records[0], file);
    if (names === undefined || rows.length === 0) continue;
    checkWidths(rows, names, file);
    hasRows = true;
    yield { names, rows };
  }
  if (names === undefined)
    throw new CommandFailure(`${file} is empty`, { remedy: 'the first line must name the columns' });
  if (!hasRows) yield { names, rows: [] };
}

/** Yields the rows that end in each piece of the file. Empty lines are skipped. */
async function* readRecords(file: string): AsyncGenerator<readonly CsvRow[]> {
  let rows: CsvRow[] = [];
  let line = 1;
  const parser = parse({
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    max_record_size: MOST_ROW_BYTES,
    on_record: (cells: readonly string[]) => {
      if (cells.length > 1 || cells[0]?.trim() !== '') rows.push({ line, cells });
      // The parser's own count takes a CRLF in a cell for two lines.
      line += 1;
      for (const cell of cells) line += countOf('\n', cell);
      return null;
    },
  });
  // A call's callback has the error, too.
  parser.on('error', () => {});
  const settled = (call: (callback: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) =>
      call((error) => (error ? reject(parseFailure(error, file, line)) : resolve())),
    );
  for await (const text of readTexts(file)) {
    await settled((callback) => parser.write(text, callback));
    yield rows;
    rows = [];
  }
  await settled((callback) => parser.end(callback));
  yield rows;
}

/** Returns the failure for an error of the parser in the row that begins in the line. */
function parseFailure(error: Error, file: string, line: number): Error {
  if (!(error instanceof CsvError)) return error;
  if (error.code === 'CSV_QUOTE_NOT_CLOSED' || error.code === 'CSV_MAX_RECORD_SIZE') {
    const remedy = 'close it, or double each quotation mark in a quoted cell';
    return lineFailure(file, line, 'a quotation mark is not closed', remedy);
  }
  const remedy = 'quote the whole cell, and double each quotation mark in it: "a ""b"" c"';
  return lineFailure(file, line, 'a quotation mark is inside an unquoted cell', remedy);
}

const HEAD_REMEDY = 'name each column once in the first line; with pandas: to_csv(…, index=False)';

function headOf(row: CsvRow | undefined, file: string): readonly string[] | undefined {
  if (row === undefined) return undefined;
  const names = row.cells.map((cell) => cell.trim());
  const empty = names.indexOf('');
  if (empty >= 0) throw lineFailure(file, row.line, `column ${empty + 1} has no name`, HEAD_REMEDY);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw lineFailure(file, row.line, `two columns are named ${twice}`, HEAD_REMEDY);
  return names;
}

function checkWidths(rows: readonly CsvRow[], { length }: readonly string[], file: string): void {
  const odd = rows.find(({ cells }) => cells.length !== length);
  if (odd === undefined) return;
  throw lineFailure(
    file,
    odd.line,
    `${counted(odd.cells.length, 'value')}, but the header has ${length}`,
    'write as many values as the header has names, and quote values that contain a comma',
  );
}
