/** Damage to files, each kind by name, and each the same every time. */
import { readField } from '../../../../libs/inference/model-file/protobuf.ts';

/** Its first bytes; counted from the end where negative. */
export const truncate = (bytes: Buffer, end: number) => bytes.subarray(0, end);

/** One byte is another one. */
export function replaceByte(bytes: Buffer, at: number, byte: number): Buffer {
  const damaged = Buffer.from(bytes);
  damaged[at] = byte;
  return damaged;
}

/** Where the top field of that number begins, and where its content does. */
export function placeOf(bytes: Buffer, number: number): { readonly start: number; readonly content: number } {
  for (let at = 0; at < bytes.length; ) {
    const field = readField(bytes, at, bytes.length);
    if (field.number === number) return { start: at, content: field.start };
    at = field.end;
  }
  throw new Error(`there is no field ${number}`);
}

/** The length of a top field says something else; its content stays. @param varint the new length, as bytes */
export function resize(bytes: Buffer, number: number, varint: readonly number[]): Buffer {
  const { start, content } = placeOf(bytes, number);
  return Buffer.concat([bytes.subarray(0, start + 1), Buffer.from(varint), bytes.subarray(content)]);
}

/** So many bytes of a generator that is no secret (mulberry32): random to look at, the same every time. */
export function noise(length: number, seed: number): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (state + 0x6d2b79f5) | 0;
      const mixed = Math.imul(state ^ (state >>> 15), state | 1);
      return (mixed ^ (mixed >>> 14)) & 0xff;
    }),
  );
}
