/**
 * A model's rows one at a time. A pinned model's are computed alone whoever they came with, in a run or for a reader: the
 * same bits go in at the same place, so the same bits come out.
 */
import type { TensorData, WireTensor } from './protocol.ts';

type Numbers = Exclude<TensorData, readonly string[]>;
type NumbersConstructor = new (buffer: ArrayBuffer, offset?: number, length?: number) => Numbers;

/** Where kernels begin to take several values at a time: a multiple of every vector register's size. */
const ALIGNMENT = 64;

/**
 * Gives the feeds of one row, valid until the next is asked for. Every row is copied to one place: some kernels sum up
 * in an order that depends on where their input lies in memory, which would make a row's last bit depend on its number.
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

function isTexts(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}
