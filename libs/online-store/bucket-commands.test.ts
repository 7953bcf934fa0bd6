import { type ScoredUser, scoredUsers } from '@tandem/prediction/runs/scored-users';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketCommands, stagePages, stageRows } from './bucket-commands.ts';
import { bucketOf, userKeyOf } from './keys.ts';
import { MODEL, STARTED_AT } from './redis.fixture.ts';
import { decodeGenerationValue } from './stored-value.ts';

const target = { keyPrefix: 'tandem:g:é:', buckets: 7, shardOf: undefined };
const generation = { id: 'g', startedAt: STARTED_AT };
const row = fc.record({
  userId: fc.oneof(fc.nat().map(String), fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), fc.uuid()),
  contextVersion: fc.oneof(fc.nat(300), fc.maxSafeNat()),
  computedAt: fc.nat(0xffff_ffff).map((offset) => STARTED_AT + offset),
  outputs: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});
const rows = fc.uniqueArray(row, { selector: ({ userId }) => userId, maxLength: 60 });

/** Returns the arguments of each command, read as Redis reads them. Throws if a length or an end is wrong. */
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

interface Row extends ScoredUser {
  readonly computedAt: number;
}

const asRows = (all: readonly Row[]) => [...stageRows(all, STARTED_AT)];
/** Each row has its own page, since a page has one time. */
const asPages = (all: readonly Row[]) => [
  ...stagePages(
    all.map((one) => ({ users: scoredUsers([one]), computedAt: one.computedAt })),
    STARTED_AT,
  ),
];
const NONE = { bytes: Buffer.alloc(0), offsets: new Uint32Array(1), hashes: new Uint32Array(0), rows: 0, skipped: 0 };

describe('a window of rows', () => {
  it('becomes one HSET for each bucket, with every row under its field, for any id and outputs', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 20 }), fc.constantFrom(asRows, asPages), (all, batchRows, way) => {
        const [staged = NONE] = way(all);
        const parsed = [...bucketCommands(target, staged, batchRows)].flatMap(({ bytes, commands }) => {
          const ofBatch = parse(bytes);
          expect(ofBatch).toHaveLength(commands);
          return ofBatch;
        });
        expect(staged.skipped).toBe(0);
        const found = new Map<string, Buffer>();
        for (const [name, key, ...pairs] of parsed) {
          expect(String(name)).toBe('hset');
          for (let i = 0; i < pairs.length; i += 2) found.set(`${key}/${pairs[i]}`, pairs[i + 1] as Buffer);
        }
        expect(found.size).toBe(all.length);
        expect(new Set(parsed.map(([, key]) => String(key))).size).toBe(parsed.length);
        for (const { userId, ...stored } of all) {
          const { hash, field } = userKeyOf(userId);
          const value = found.get(`${target.keyPrefix}${bucketOf(hash, target.buckets)}/${field}`) ?? Buffer.alloc(0);
          expect(decodeGenerationValue(value, generation, MODEL, hash)).toMatchObject(stored);
        }
      }),
    );
  });

  it('leaves out rows that the layout cannot encode, and counts them', () => {
    const early = { userId: '1', contextVersion: 0, computedAt: STARTED_AT - 1, outputs: Buffer.of(1) };
    const inTime = { ...early, userId: '2', computedAt: STARTED_AT };
    for (const way of [asRows, asPages]) {
      const [some = NONE] = way([early, inTime]);
      expect([[...bucketCommands(target, some, 10)].map(({ commands }) => commands), some.skipped]).toEqual([[1], 1]);
      const [none = NONE] = way([early]);
      expect([[...bucketCommands(target, none, 10)], none.skipped]).toEqual([[], 1]);
      expect(way([])).toEqual([]);
    }
  });

  it('is written in batches that end with a bucket', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({
      userId: `${i}`,
      contextVersion: 0,
      computedAt: STARTED_AT,
      outputs: Buffer.of(i),
    }));
    const [staged = NONE] = asRows(many);
    const rowsOf = ({ bytes }: { bytes: Buffer }) => parse(bytes).reduce((sum, args) => sum + (args.length - 2) / 2, 0);
    const sizes = [...bucketCommands(target, staged, 30)].map(rowsOf);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(100);
    expect(sizes.length).toBeGreaterThan(1);
    for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThanOrEqual(30);
  });

  it('is written in batches for single servers of a cluster, with the same commands', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 20 }), (all, batchRows) => {
        const [staged = NONE] = asRows(all);
        const shardOf = (key: string) => Number(key.slice(target.keyPrefix.length)) % 3;
        const batches = [...bucketCommands({ ...target, shardOf }, staged, batchRows)];
        const commandsOf = (some: typeof batches) => some.flatMap(({ bytes }) => parse(bytes).map(String)).sort();
        for (const { bytes, shard } of batches) {
          expect(new Set(parse(bytes).map(([, key]) => shardOf(String(key))))).toEqual(new Set([shard]));
        }
        expect(commandsOf(batches)).toEqual(commandsOf([...bucketCommands(target, staged, batchRows)]));
      }),
    );
  });
});
