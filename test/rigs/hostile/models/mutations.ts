/** Deterministic ways to damage a file. */
import { readField } from '../../../../libs/inference/model-file/protobuf.ts';

/** Returns the bytes up to `end`, which counts from the end if negative. */
export const truncate = (bytes: Buffer, end: number) => bytes.subarray(0, end);

/** Replaces one byte. */
export function replaceByte(bytes: Buffer, at: number, byte: number): Buffer {
  const damaged = Buffer.from(bytes);
  damaged[at] = byte;
  return damaged;
}

/** Returns the positions of a top-level field and of its content. */
export function placeOf(bytes: Buffer, number: number): { readonly start: number; readonly content: number } {
  for (let at = 0; at < bytes.length; ) {
    const field = readField(bytes, at, bytes.length);
    if (field.number === number) return { start: at, content: field.start };
    at = field.end;
  }
  throw new Error(`there is no field ${number}`);
}

/**
 * Changes the declared length of a top-level field, but not its content.
 * @param varint the new length, as bytes
 */
export function resize(bytes: Buffer, number: number, varint: readonly number[]): Buffer {
  const { start, content } = placeOf(bytes, number);
  return Buffer.concat([bytes.subarray(0, start + 1), Buffer.from(varint), bytes.subarray(content)]);
}

/** Returns pseudo-random bytes (mulberry32), which are the same for the same seed. */
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
