/**
 * Runs a model one row at a time and joins the answers. The rows of a pinned model are computed alone, in any batch:
 * the same input bits at the same place in memory give the same output bits.
 */
import type { TensorData, WireTensor } from './protocol.ts';

type Numbers = Exclude<TensorData, readonly string[]>;
type NumbersConstructor = new (buffer: ArrayBuffer, offset?: number, length?: number) => Numbers;

/** The alignment for kernels that process several values at a time: a multiple of the size of every vector register. */
const ALIGNMENT = 64;

/**
 * Returns the feeds of one row, valid until the next call. Every row is copied to the same place. Some kernels sum in
 * an order that depends on the address of their input, so the last bit of an answer would depend on the row's number.
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

/**
 * Returns an array that begins at a page of memory, as only a resizable buffer does; other buffers begin at any
 * address.
 */
function aligned(like: Numbers, length: number): Numbers {
  const bytes = Math.ceil((length * like.BYTES_PER_ELEMENT) / ALIGNMENT) * ALIGNMENT;
  const buffer = new ArrayBuffer(bytes, { maxByteLength: bytes });
  return new (like.constructor as NumbersConstructor)(buffer, 0, length);
}

interface Gathered {
  readonly first: WireTensor;
  readonly width: number;
  readonly data: Numbers | string[];
}

/** Creates a collector for the answers of single rows, in order. A scalar counts as the value of its row. */
export function joinRows(rows: number) {
  let gathered: readonly Gathered[] = [];
  let row = 0;
  return {
    /** Adds the outputs of a row. Throws if they are not a single row, with the widths of the first. */
    add(outputs: readonly WireTensor[]): void {
      if (row === 0) gathered = outputs.map((output) => prepare(output, rows));
      outputs.forEach((output, i) => {
        keep(gathered[i], output, row);
      });
      row++;
    },
    /** Returns the outputs of all rows, as one run would return them. */
    outputs: (): readonly WireTensor[] =>
      gathered.map(({ first, data }) => ({ ...first, dims: [rows, ...first.dims.slice(1)], data })),
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
