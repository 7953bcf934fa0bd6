/** The checksums of stored-value.ts. */
import { crc32 as nativeCrc32 } from 'node:zlib';

/**
 * CRC-16/CCITT (polynomial 0x1021): two bytes that find any damage within 16 neighbouring bits, and other damage but
 * once in 65,536. Buckets hold too many values for more.
 */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/**
 * The checksum of the bytes from `start` to `end`.
 * @param seed unsigned, 32 bits; what is not of this seed fails the check
 */
export function crc16(bytes: Uint8Array, start: number, seed: number, end: number = bytes.length): number {
  let crc = (seed ^ (seed >>> 16)) & 0xffff;
  for (let i = start; i < end; i++) {
    crc = ((crc << 8) ^ (TABLE[(crc >>> 8) ^ (bytes[i] ?? 0)] ?? 0)) & 0xffff;
  }
  return crc;
}

const TABLE_32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
/** Of so few bytes a call of zlib's, and the view that it needs, take longer than the sum itself. */
const FEW_BYTES = 128;

/** CRC-32, as zlib's, of the bytes from `start` to `end`; goes on from the checksum `seed`. */
export function crc32(bytes: Uint8Array, start: number, end: number, seed: number): number {
  if (end - start > FEW_BYTES) return nativeCrc32(bytes.subarray(start, end), seed);
  let crc = ~seed;
  for (let i = start; i < end; i++) crc = (crc >>> 8) ^ (TABLE_32[(crc ^ (bytes[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
