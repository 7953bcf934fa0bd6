import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketCommands } from './bucket-commands.ts';
import { bucketOf, placeOf } from './keys.ts';
import { MODEL, STARTED_AT } from './redis.fixture.ts';
import { decodeGenerationValue } from './stored-value.ts';

const window = { keyPrefix: 'tandem:g:é:', buckets: 7, startedAt: STARTED_AT };
const generation = { id: 'g', startedAt: STARTED_AT };
const row = fc.record({
  userId: fc.oneof(fc.nat().map(String), fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), fc.uuid()),
  contextVersion: fc.oneof(fc.nat(300), fc.maxSafeNat()),
  computedAt: fc.nat(0xffff_ffff).map((offset) => STARTED_AT + offset),
  outputs: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});
const rows = fc.uniqueArray(row, { selector: ({ userId }) => userId, maxLength: 60 });

/** The arguments of each command, read as Redis reads them. Throws where a length or an end is not what it says. */
function parse(bytes: Buffer): Buffer[][] {
  const commands: Buffer[][] = [];
  let at = 0;
  const number = (sign: string) => {
    const end = bytes.indexOf('\r\n', at);
    const text = bytes.toString('latin1', at, end);
    if (!new RegExp(`^\\${sign}(0|[1-9][0-9]*)$`).test(text)) throw new Error(`${text} at ${at}`);
    at = end + 2;
    return Number(text.slice(1));
  };
  while (at < bytes.length) {
    commands.push(
      Array.from({ length: number('*') }, () => {
        const length = number('$');
        const argument = bytes.subarray(at, at + length);
        at += length + 2;
        if (bytes.toString('latin1', at - 2, at) !== '\r\n') throw new Error(`no end at ${at}`);
        return argument;
      }),
    );
  }
  return commands;
}

describe('a window of rows', () => {
  it('is one HSET a bucket, in which every row lies under its field, whatever its id and outputs', () => {
    fc.assert(
      fc.property(rows, (all) => {
        const { bytes, commands, skipped } = bucketCommands(window, all);
        const parsed = parse(bytes);
        expect([parsed.length, skipped]).toEqual([commands, 0]);
        const found = new Map<string, Buffer>();
        for (const [name, key, ...pairs] of parsed) {
          expect(String(name)).toBe('hset');
          for (let i = 0; i < pairs.length; i += 2) found.set(`${key}/${pairs[i]}`, pairs[i + 1] as Buffer);
        }
        expect(found.size).toBe(all.length);
        expect(new Set(parsed.map(([, key]) => String(key))).size).toBe(commands);
        for (const { userId, ...stored } of all) {
          const { hash, field } = placeOf(userId);
          const value = found.get(`${window.keyPrefix}${bucketOf(hash, window.buckets)}/${field}`) ?? Buffer.alloc(0);
          expect(decodeGenerationValue(value, generation, MODEL, hash)).toMatchObject(stored);
        }
      }),
    );
  });

  it('leaves out rows that the layout cannot tell, and counts them', () => {
    const early = { userId: '1', contextVersion: 0, computedAt: STARTED_AT - 1, outputs: Buffer.of(1) };
    expect(bucketCommands(window, [early, { ...early, userId: '2', computedAt: STARTED_AT }])).toMatchObject({
      commands: 1,
      skipped: 1,
    });
    expect(bucketCommands(window, [early])).toEqual({ bytes: Buffer.alloc(0), commands: 0, skipped: 1 });
  });
});
