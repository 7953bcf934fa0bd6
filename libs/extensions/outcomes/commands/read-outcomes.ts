/**
 * Reads outcomes from a file of any length, line by line. The file is CSV with a header line, or has one JSON object in each
 * line.
 */

import { given } from '@tandem/commands/command';
import { readCsv } from '@tandem/commands/csv/read-csv';
import type { CommandFailure } from '@tandem/commands/failure';
import { lineFailure, readLines } from '@tandem/commands/read-text-file';
import type { OutcomeInput } from '../client.ts';

const FIELDS = ['id', 'source', 'userId', 'name', 'value', 'time'] as const;
type Field = (typeof FIELDS)[number];
/** The required columns. Without an id, a file that is sent twice would count twice. */
const REQUIRED = ['id', 'userId', 'name'] as const;
const FORM = `each outcome has ${REQUIRED.join(', ')}, and optionally source, value and time; the first line of a CSV file has these names`;

/** Yields batches of limited size, in order. Rejects with a CommandFailure that names the line. */
export async function* readOutcomes(file: string, atMost: number): AsyncGenerator<readonly OutcomeInput[]> {
  let batch: OutcomeInput[] = [];
  for await (const outcome of readOneByOne(file)) {
    batch.push(outcome);
    if (batch.length < atMost) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function readOneByOne(file: string): AsyncGenerator<OutcomeInput> {
  return /\.csv$/i.test(file) ? readCsvOutcomes(file) : readJsonOutcomes(file);
}

async function* readJsonOutcomes(file: string): AsyncGenerator<OutcomeInput> {
  let no = 0;
  for await (const line of readLines(file)) {
    no++;
    if (line.trim() !== '') yield outcomeOf(parseLine(line, file, no), file, no);
  }
}

function parseLine(line: string, file: string, no: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw wrongLine(file, no, `the line is not JSON (${error instanceof Error ? error.message : error})`);
  }
}

async function* readCsvOutcomes(file: string): AsyncGenerator<OutcomeInput> {
  for await (const { names, rows } of readCsv(file)) {
    checkHead(names, file);
    for (const { line, cells } of rows) {
      const row: Record<string, unknown> = {};
      for (const [i, name] of names.entries()) {
        if (name === 'value') row[name] = valueOfCell(cells[i] ?? '');
        else if (cells[i] !== '') row[name] = cells[i];
      }
      yield outcomeOf(row, file, line);
    }
  }
}

function checkHead(names: readonly string[], file: string): void {
  const unknown = names.find((name) => !isField(name));
  if (unknown !== undefined) throw wrongLine(file, 1, `the header has the unknown name ${JSON.stringify(unknown)}`);
}

/**
 * Returns NaN for a cell that is not a number. This includes an empty cell, because a missing amount must not count as
 * 1.
 */
function valueOfCell(cell: string): number {
  return cell.trim() === '' ? Number.NaN : Number(cell);
}

/** Returns the outcome of a line after checking each field. */
function outcomeOf(row: unknown, file: string, no: number): OutcomeInput {
  const sent: Readonly<Record<string, unknown>> =
    typeof row === 'object' && row !== null && !Array.isArray(row) ? { ...row } : {};
  const lacking = REQUIRED.find((name) => sent[name] === undefined || sent[name] === null);
  if (lacking !== undefined) throw wrongLine(file, no, `it has no ${lacking}`);
  const unknown = Object.keys(sent).find((name) => !isField(name));
  if (unknown !== undefined) throw wrongLine(file, no, `it has the unknown name ${JSON.stringify(unknown)}`);
  const text = (name: Exclude<Field, 'value'>): string | undefined => {
    const value = sent[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    throw wrongLine(file, no, `its ${name} is not a string`);
  };
  const [source, time, value] = [text('source'), text('time'), readValue(sent, file, no)];
  return {
    ...{ id: text('id') ?? '', userId: text('userId') ?? '', name: text('name') ?? '' },
    ...given({ source, value, time }),
  };
}

function readValue({ value }: Readonly<Record<string, unknown>>, file: string, no: number): number | undefined {
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
  throw wrongLine(
    file,
    no,
    value === null || Number.isNaN(value)
      ? 'its value is empty, null or not a number'
      : `its value is ${typeof value === 'string' ? JSON.stringify(value) : value}, not a finite number`,
    'write a number; if each outcome counts as 1, leave out value and its column in a CSV file',
  );
}

function isField(name: string): name is Field {
  return FIELDS.some((field) => field === name);
}

function wrongLine(file: string, no: number, problem: string, remedy = FORM): CommandFailure {
  return lineFailure(file, no, problem, remedy);
}
