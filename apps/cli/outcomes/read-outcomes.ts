/** Outcomes in a file: CSV with a head, or one JSON object a line. Read line by line, however long the file is. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { OutcomeInput } from '@tandem/client/outcomes';
import { splitCsv } from '../command-line/split-csv.ts';
import { CommandFailure } from '../failure.ts';

const FIELDS = ['id', 'source', 'userId', 'name', 'value', 'time'] as const;
/** Without an id a file that is sent twice would count twice. */
const REQUIRED = ['id', 'userId', 'name'] as const;

/** Batches of at most so many, in order. Rejects with a CommandFailure that names the line. */
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

async function* readOneByOne(file: string): AsyncGenerator<OutcomeInput> {
  const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  const read = /\.csv$/i.test(file) ? csvReader(file) : jsonReader(file);
  let no = 0;
  try {
    for await (const line of lines) {
      no++;
      const outcome = line.trim() === '' ? undefined : read(line, no);
      if (outcome) yield outcome;
    }
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new CommandFailure(`${file} cannot be read: ${error.message}`, { cause: error });
  }
}

/** The outcome in a line; undefined: it is the head. */
type ReadLine = (line: string, no: number) => OutcomeInput | undefined;

function jsonReader(file: string): ReadLine {
  return (line, no) => {
    try {
      return outcomeOf(JSON.parse(line) as Record<string, unknown>, file, no);
    } catch (error) {
      throw error instanceof SyntaxError ? wrongLine(file, no, `it is not JSON (${error.message})`) : error;
    }
  };
}

function csvReader(file: string): ReadLine {
  let head: readonly string[] | undefined;
  return (line, no) => {
    const cells = splitCsv(line.replace(/^\uFEFF/, ''));
    if (!cells) throw wrongLine(file, no, 'a quotation mark is not closed');
    if (!head) {
      checkHead(cells, file, no);
      head = cells;
      return undefined;
    }
    if (cells.length !== head.length)
      throw wrongLine(file, no, `${cells.length} values, and the head has ${head.length}`);
    const row: Record<string, unknown> = {};
    for (const [i, name] of head.entries())
      if (cells[i] !== '') row[name] = name === 'value' ? Number(cells[i]) : cells[i];
    return outcomeOf(row, file, no);
  };
}

function checkHead(names: readonly string[], file: string, no: number): void {
  const unknown = names.find((name) => !(FIELDS as readonly string[]).includes(name));
  if (unknown !== undefined) throw wrongLine(file, no, `the head names ${JSON.stringify(unknown)}`);
}

function outcomeOf(row: Readonly<Record<string, unknown>>, file: string, no: number): OutcomeInput {
  const lacking = REQUIRED.find((name) => row?.[name] === undefined);
  if (lacking !== undefined) throw wrongLine(file, no, `it has no ${lacking}`);
  if (Number.isNaN(row.value)) throw wrongLine(file, no, 'its value is not a number');
  return row as unknown as OutcomeInput;
}

function wrongLine(file: string, no: number, problem: string): CommandFailure {
  return new CommandFailure(`${file}, line ${no}: ${problem}`, {
    remedy: `each has ${REQUIRED.join(', ')}, and where wanted source, value and time; a CSV file begins with their names`,
  });
}
