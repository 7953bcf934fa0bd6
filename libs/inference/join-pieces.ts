/** One answer of those that a model gave for the rows of a run piece by piece. */
import type { TensorData, WireTensor } from './protocol.ts';

type Numbers = Exclude<TensorData, readonly string[]>;
type NumbersConstructor = new (length: number) => Numbers;

export interface PieceAnswers {
  /** Of the next so many rows, in order. Throws where the outputs are not that many rows, in the widths of the first. */
  add(outputs: readonly WireTensor[], rows: number): void;
  /** All rows, as one run of them would give them. */
  outputs(): readonly WireTensor[];
}

interface Gathered {
  readonly first: WireTensor;
  /** Values a row. */
  readonly width: number;
  readonly data: Numbers | string[];
}

/** @param rows of all pieces together. A model of one row at a time may give a scalar: it is that row's. */
export function joinPieces(rows: number): PieceAnswers {
  let gathered: readonly Gathered[] = [];
  let row = 0;
  return {
    add(outputs, count) {
      if (row === 0) gathered = outputs.map((output) => prepare(output, count, rows));
      outputs.forEach((output, i) => {
        keep(gathered[i], output, row, count);
      });
      row += count;
    },
    outputs: () => gathered.map(({ first, data }) => ({ ...first, dims: [rows, ...first.dims.slice(1)], data })),
  };
}

function prepare(first: WireTensor, count: number, rows: number): Gathered {
  const { data } = first;
  const width = Math.floor(data.length / count);
  if (Array.isArray(data)) return { first, width, data: [] };
  return { first, width, data: new (data.constructor as unknown as NumbersConstructor)(width * rows) };
}

function keep(gathered: Gathered | undefined, { name, dims, data }: WireTensor, row: number, count: number): void {
  const isRowsOf = dims[0] === count || (dims.length === 0 && count === 1);
  if (!isRowsOf) throw new Error(`the model gave ${given(dims)} of output ${name} for ${counted(count, 'user')}`);
  if (!gathered || data.length !== gathered.width * count) {
    throw new Error(`the model gave output ${name} in different widths for rows of one run`);
  }
  if (Array.isArray(gathered.data)) for (const text of data as readonly string[]) gathered.data.push(text);
  else gathered.data.set(data as never, row * gathered.width);
}

function given([rows]: readonly number[]): string {
  return rows === undefined ? 'one value, of no row,' : counted(rows, 'row');
}

function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}
