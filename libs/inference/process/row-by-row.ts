/**
 * Runs a model one row at a time and joins the answers. The rows of a pinned model are computed alone, whatever their
 * batch: the same bits enter at the same place, so the same bits come out.
 */
import type { TensorData, WireTensor } from './protocol.ts';

type Numbers = Exclude<TensorData, readonly string[]>;
type NumbersConstructor = new (buffer: ArrayBuffer, offset?: number, length?: number) => Numbers;

/** Alignment at which kernels process several values at a time: a multiple of every vector register's size. */
const ALIGNMENT = 64;

/**
 * Returns the feeds of one row, valid until the next call. Every row is copied to one place: some kernels sum up in an
 * order that depends on where their input lies in memory, which would make a row's last bit depend on its number.
 */
export function createRowFeeder(feeds: readonly WireTensor[]): (row: number) => readonly WireTensor[] {
  const rowOf = feeds.map((feed) => {
    const rows = feed.dims[0] ?? 1;
    const width = feed.data.length / rows;
    const dims = [1, ...feed.dims.slice(1)];
    const { data } = feed;
    if (isTexts(data)) {
      return (row: number): WireTensor => ({ ...feed, dims, data: data.slice(row * width, (row + 1) * width) });
    }
    const place = aligned(data, width);
    return (row: number): WireTensor => {
      place.set(data.subarray(row * width, (row + 1) * width) as never);
      return { ...feed, dims, data: place };
    };
  });
  return (row) => rowOf.map((feed) => feed(row));
}

/** A resizable buffer begins on a page of memory, any other where the allocator had room. */
function aligned(like: Numbers, length: number): Numbers {
  const bytes = Math.ceil((length * like.BYTES_PER_ELEMENT) / ALIGNMENT) * ALIGNMENT;
  const buffer = new ArrayBuffer(bytes, { maxByteLength: bytes });
  return new (like.constructor as NumbersConstructor)(buffer, 0, length);
}

interface RowAnswers {
  /** Throws where the outputs are not one row each, in the widths of the first. */
  add(outputs: readonly WireTensor[]): void;
  /** Returns the outputs of all rows, as one run would return them. */
  outputs(): readonly WireTensor[];
}

interface Gathered {
  readonly first: WireTensor;
  readonly width: number;
  readonly data: Numbers | string[];
}

/** Takes the answers of single rows, in order. A model of one row at a time may give a scalar: it is that row's. */
export function joinRows(rows: number): RowAnswers {
  let gathered: readonly Gathered[] = [];
  let row = 0;
  return {
    add(outputs) {
      if (row === 0) gathered = outputs.map((output) => prepare(output, rows));
      outputs.forEach((output, i) => {
        keep(gathered[i], output, row);
      });
      row++;
    },
    outputs: () => gathered.map(({ first, data }) => ({ ...first, dims: [rows, ...first.dims.slice(1)], data })),
  };
}

function prepare(first: WireTensor, rows: number): Gathered {
  const { data } = first;
  const width = data.length;
  if (isTexts(data)) return { first, width, data: [] };
  const buffer = new ArrayBuffer(width * rows * data.BYTES_PER_ELEMENT);
  return { first, width, data: new (data.constructor as NumbersConstructor)(buffer) };
}

function keep(gathered: Gathered | undefined, { name, dims, data }: WireTensor, row: number): void {
  if (dims.length > 0 && dims[0] !== 1) throw new Error(`the model gave ${dims[0]} rows of output ${name} for 1 user`);
  if (!gathered || data.length !== gathered.width) {
    throw new Error(`the model gave output ${name} in different widths for rows of one run`);
  }
  if (Array.isArray(gathered.data)) for (const text of data as readonly string[]) gathered.data.push(text);
  else gathered.data.set(data as never, row * gathered.width);
}

function isTexts(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}
