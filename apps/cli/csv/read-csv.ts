/**
 * Reads a CSV file (RFC 4180, UTF-8, with a header line) of any length in batches of rows. A quoted cell may contain line
 * breaks. Memory is bounded by a batch and the longest row.
 */
import { createReadStream } from 'node:fs';
import { CommandFailure, unreadable } from '../command-line/failure.ts';
import { counted } from '../output/text.ts';

/** Splits one line according to RFC 4180. Returns undefined if a quotation mark is not closed. */
export function splitCsv(line: string): string[] | undefined {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const found = cell.exec(line);
    if (!found) return undefined;
    cells.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    if (found[3] === '') return cells;
  }
}

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
/** The most UTF-16 units of a row. A longer row is treated as an unclosed quotation mark. */
const MOST_ROW_LENGTH = 1 << 24;

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

async function* readRecords(file: string): AsyncGenerator<readonly CsvRow[]> {
  const records = recordReader(file);
  for await (const text of readTexts(file)) yield records.push(text);
  yield records.end();
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

/** Splits texts into rows. A row ends at a line break outside quotation marks. Empty lines are skipped. */
function recordReader(file: string) {
  /** The text after the last row, and the line where it begins. */
  let rest = '';
  let line = 1;

  /** Returns the rows that end in the text. */
  function push(text: string): CsvRow[] {
    const rows: CsvRow[] = [];
    rest += text;
    let start = 0;
    let quote = findFrom(rest, '"', 0);
    for (;;) {
      if (quote < start) quote = findFrom(rest, '"', start);
      const end = quote < Number.POSITIVE_INFINITY ? endOfRecord(rest, start, quote) : findFrom(rest, '\n', start);
      if (end === Number.POSITIVE_INFINITY) break;
      const isQuoted = quote < end;
      const record = rest.slice(start, rest[end - 1] === '\r' ? end - 1 : end);
      if (record.trim() !== '') rows.push({ line, cells: cellsOf(record, isQuoted, file, line) });
      line += 1 + (isQuoted ? countOf('\n', record) : 0);
      start = end + 1;
    }
    rest = rest.slice(start);
    if (rest.length > MOST_ROW_LENGTH) throw openQuote(file, line);
    return rows;
  }

  return {
    push,
    /** Returns the last row of a file that does not end with a line break. */
    end(): CsvRow[] {
      const rows = push('\n');
      if (rest.trim() !== '') throw openQuote(file, line);
      return rows;
    },
  };
}

/**
 * Returns the position after the end of a row.
 * @param quote the position of the first quotation mark after the start
 */
function endOfRecord(text: string, start: number, quote: number): number {
  let open = quote;
  let end = findFrom(text, '\n', start);
  // A doubled quotation mark in a cell closes the cell and opens it again.
  while (open < end) {
    const close = findFrom(text, '"', open + 1);
    if (close === Number.POSITIVE_INFINITY) return close;
    if (close > end) end = findFrom(text, '\n', close);
    open = findFrom(text, '"', close + 1);
  }
  return end;
}

/** Returns the position of a character, or Infinity if it is not found. */
function findFrom(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? Number.POSITIVE_INFINITY : at;
}

function cellsOf(record: string, isQuoted: boolean, file: string, line: number): readonly string[] {
  if (!isQuoted) return record.split(',');
  const cells = splitCsv(record);
  if (cells) return cells;
  throw csvFailure(
    file,
    line,
    'a quotation mark is inside an unquoted cell',
    'quote the whole cell, and double each quotation mark in it: "a ""b"" c"',
  );
}

function openQuote(file: string, line: number): CommandFailure {
  const remedy = 'close it, or double each quotation mark in a quoted cell';
  return csvFailure(file, line, 'a quotation mark is not closed', remedy);
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
