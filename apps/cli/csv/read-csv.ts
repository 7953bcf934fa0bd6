/**
 * Reads a CSV file (RFC 4180, UTF-8, with a header line) of any length in batches of rows. A quoted cell may contain line
 * breaks. Memory is bounded by a batch and the longest row.
 */
import { createReadStream } from 'node:fs';
import { CsvError, parse } from 'csv-parse';
import { CommandFailure, unreadable } from '../command-line/failure.ts';
import { counted } from '../output/text.ts';

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

/** Bytes in one read. A batch has the rows that end in them. */
const READ_BYTES = 1 << 18;
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
    return csvFailure(file, line, 'a quotation mark is not closed', remedy);
  }
  const remedy = 'quote the whole cell, and double each quotation mark in it: "a ""b"" c"';
  return csvFailure(file, line, 'a quotation mark is inside an unquoted cell', remedy);
}

/** Returns a failure that names the line. */
export function csvFailure(file: string, line: number, problem: string, remedy: string): CommandFailure {
  return new CommandFailure(`${file}, line ${line}: ${problem}`, { remedy });
}

async function* readTexts(file: string): AsyncGenerator<string> {
  // The decoder removes a byte order mark.
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let lines = 1;
  let bytes = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES })) {
      bytes = chunk as Buffer<ArrayBuffer>;
      const text = decoder.decode(bytes, { stream: true });
      yield text;
      lines += countOf('\n', text);
    }
    yield decoder.decode();
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw notUtf8(file, lines, bytes);
    }
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw unreadable(file, error);
  }
}

/**
 * Returns the failure for bytes that are not UTF-8.
 * @param lines the line in which the bytes begin
 */
function notUtf8(file: string, lines: number, bytes: Buffer): CommandFailure {
  const isUtf16 = ['fffe', 'feff'].includes(bytes.toString('hex', 0, 2));
  if (bytes.includes(0) && !isUtf16) {
    return new CommandFailure(`${file} is not a text file: it has NUL bytes`, { remedy: 'name a CSV file in UTF-8' });
  }
  const before = bytes.toString('utf8').split('\ufffd', 1)[0] ?? '';
  const remedy = `convert it: iconv -f ${isUtf16 ? 'utf-16' : 'latin1'} -t utf-8`;
  return csvFailure(file, lines + countOf('\n', before), 'it is not UTF-8', remedy);
}

const HEAD_REMEDY = 'name each column once in the first line; with pandas: to_csv(…, index=False)';

function headOf(row: CsvRow | undefined, file: string): readonly string[] | undefined {
  if (row === undefined) return undefined;
  const names = row.cells.map((cell) => cell.trim());
  const empty = names.indexOf('');
  if (empty >= 0) throw csvFailure(file, row.line, `column ${empty + 1} has no name`, HEAD_REMEDY);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw csvFailure(file, row.line, `two columns are named ${twice}`, HEAD_REMEDY);
  return names;
}

function checkWidths(rows: readonly CsvRow[], { length }: readonly string[], file: string): void {
  const odd = rows.find(({ cells }) => cells.length !== length);
  if (odd === undefined) return;
  throw csvFailure(
    file,
    odd.line,
    `${counted(odd.cells.length, 'value')}, but the header has ${length}`,
    'write as many values as the header has names, and quote values that contain a comma',
  );
}

function countOf(character: string, text: string): number {
  let found = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) found++;
  return found;
}
