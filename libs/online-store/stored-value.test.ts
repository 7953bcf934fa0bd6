import type { OverlayEntry, StoredPrediction } from '@tandem/freshness/stored-prediction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf } from './keys.ts';
import { HISTORY, MODEL, overlayEntry, STARTED_AT } from './redis.fixture.ts';
import {
  decodeGenerationValue,
  decodeOverlayEntry,
  generationValueLength,
  overlayEntryLength,
  writeGenerationValue,
  writeOverlayEntry,
} from './stored-value.ts';

const generation = { id: 'g1', startedAt: STARTED_AT };
const outputs = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
const row = fc.record({
  contextVersion: count,
  computedAt: fc.nat(0xffff_ffff).map((offset) => STARTED_AT + offset),
  outputs,
});
const entry = fc.record({
  overlayFloor: count,
  contextVersion: count,
  computedAt: fc.maxSafeNat(),
  source: fc.constantFrom('batch' as const, 'live' as const),
  outputs,
});
const hash = fc.nat(0xffff_ffff);
/** The seed is fixed, since a checksum of two bytes does not detect one damage in 65,536. */
const settings = { seed: 7, numRuns: 500 };

const decode = (bytes: Buffer, userHash: number) => decodeGenerationValue(bytes, generation, MODEL, userHash);
type Row = Pick<StoredPrediction, 'contextVersion' | 'computedAt' | 'outputs'>;
const lengthOf = ({ contextVersion, computedAt, outputs }: Row) =>
  generationValueLength(contextVersion, computedAt, STARTED_AT, outputs.length);
function encode(one: Row, userHash: number): Buffer {
  const bytes = Buffer.alloc(lengthOf(one));
  const { contextVersion, computedAt, outputs } = one;
  const value = { contextVersion, offsetMs: computedAt - STARTED_AT, outputs, start: 0, stop: outputs.length };
  writeGenerationValue(bytes, 0, value, userHash);
  return bytes;
}
function encodeEntry(one: OverlayEntry, userHash: number): Buffer {
  const bytes = Buffer.alloc(overlayEntryLength(one));
  writeOverlayEntry(bytes, 0, one, userHash);
  return bytes;
}

describe('a generation value', () => {
  it('is decoded unchanged, with seven bytes in addition to the outputs for a user with few events', () => {
    fc.assert(
      fc.property(row, hash, (one, userHash) => {
        expect(decode(encode(one, userHash), userHash)).toMatchObject({
          ...one,
          layer: 'generation',
          generationId: 'g1',
        });
      }),
    );
    expect(encode({ contextVersion: 127, computedAt: STARTED_AT, outputs: Buffer.alloc(4) }, 1)).toHaveLength(11);
  });

  it('is not decoded if a byte is damaged, if it is truncated, or for another user', () => {
    fc.assert(
      fc.property(row, hash, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, userHash, position, flip) => {
        const bytes = encode(one, userHash);
        const damaged = Buffer.from(bytes);
        const at = position % bytes.length;
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        expect(decode(damaged, userHash)).toBeNull();
        expect(decode(bytes.subarray(0, at), userHash)).toBeNull();
        expect(decode(bytes, (userHash ^ flip) >>> 0)).toBeNull();
      }),
      settings,
    );
  });

  it('never throws on bytes of any kind', () => {
    fc.assert(
      fc.property(outputs, hash, (bytes, userHash) => decode(bytes, userHash) === null),
      settings,
    );
  });

  it.each([
    ['a time before the generation started', { computedAt: STARTED_AT - 1 }],
    ['a time 50 days later', { computedAt: STARTED_AT + 50 * 86_400_000 }],
    ['no time', { computedAt: Number.NaN }],
    ['a negative label', { contextVersion: -1 }],
    ['half a label', { contextVersion: 1.5 }],
  ])('is not encoded for %s', (_name, change) => {
    const sound = { contextVersion: 1, computedAt: STARTED_AT, outputs: Buffer.alloc(4) };
    expect(lengthOf({ ...sound, ...change })).toBe(0);
  });
});

describe('an overlay entry', () => {
  const userHash = hashOf('42');

  it('is decoded unchanged', () => {
    fc.assert(
      fc.property(entry, (one) => {
        const decoded = decodeOverlayEntry(encodeEntry(overlayEntry('42', one), userHash), userHash);
        expect(decoded).toMatchObject({ ...one, layer: 'overlay', history: HISTORY, modelVersionId: MODEL });
      }),
    );
  });

  it('is not decoded if a byte is damaged, if it is truncated, or for another user', () => {
    fc.assert(
      fc.property(entry, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, position, flip) => {
        const bytes = encodeEntry(overlayEntry('42', one), userHash);
        const damaged = Buffer.from(bytes);
        const at = position % bytes.length;
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        expect(decodeOverlayEntry(damaged, userHash)).toBeNull();
        expect(decodeOverlayEntry(bytes.subarray(0, at), userHash)).toBeNull();
        expect(decodeOverlayEntry(bytes, hashOf('43'))).toBeNull();
      }),
      settings,
    );
  });

  it.each([
    ['a history that is not 16 hex digits', { history: 'h1' }],
    ['a model version that is not 32 hex digits', { modelVersionId: 'm1' }],
    ['a label beyond exact numbers', { contextVersion: 2 ** 60 }],
  ])('is not encoded for %s', (_name, change) => {
    expect(() => encodeEntry(overlayEntry('42', change), userHash)).toThrow(RangeError);
  });
});
