import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { ServerConnection } from './connection.ts';
import { createKeys, userKeyOf } from './keys.ts';
import { createHintStore, createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import {
  assignmentOf,
  connectTo,
  deleteKeys,
  HISTORY,
  MODEL,
  overlayEntry,
  randomPrefix,
  STARTED_AT,
} from './redis.fixture.ts';

type Step =
  | { readonly kind: 'put'; readonly entry: OverlayEntry }
  | { readonly kind: 'hint'; readonly history: string; readonly version: number };

const OTHER_HISTORY = 'fedcba9876543210';
const history = fc.constantFrom(HISTORY, OTHER_HISTORY);
const version = fc.oneof(fc.nat(3), fc.constantFrom(2 ** 32, Number.MAX_SAFE_INTEGER));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), entry: anyEntry() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hint' as const), history, version }) },
);

function anyEntry() {
  return fc
    .record({
      history,
      modelVersionId: fc.constantFrom(MODEL, 'b2'.repeat(16)),
      overlayFloor: fc.nat(2),
      contextVersion: version,
      computedAt: fc.nat(2).map((ms) => STARTED_AT + ms),
      source: fc.constantFrom('batch' as const, 'live' as const),
    })
    .map((changes) => overlayEntry('42', changes));
}

/** A simple model of the store's rules. */
function createReference() {
  let stored: OverlayEntry | null = null;
  let hint: { history: string; version: number } | null = null;
  const isNewer = (old: OverlayEntry, entry: OverlayEntry): boolean => {
    if (old.history !== entry.history) return false;
    if (old.modelVersionId !== entry.modelVersionId) return false;
    if (old.overlayFloor !== entry.overlayFloor) return old.overlayFloor > entry.overlayFloor;
    if (old.contextVersion !== entry.contextVersion) return old.contextVersion > entry.contextVersion;
    return old.computedAt > entry.computedAt;
  };
  return {
    raise(given: { history: string; version: number }) {
      if (hint?.history !== given.history || hint.version < given.version) hint = given;
    },
    put(entry: OverlayEntry) {
      if (hint?.history === entry.history && hint.version > entry.contextVersion) return 'outdated';
      if (stored && isNewer(stored, entry)) return 'older';
      stored = entry;
      return 'kept';
    },
    state: () => ({ stored, hint }),
  };
}

describe('the overlay', () => {
  let connection: ServerConnection;
  let prefix: string;
  beforeAll(async () => {
    ({ connection } = await connectTo(inject('redisUrl')));
  });
  beforeEach(() => {
    prefix = randomPrefix();
    return () => deleteKeys(connection, prefix);
  });
  afterAll(() => connection.close());

  async function entryOf42(own: string) {
    const found = await createOnlinePredictions({ connection, prefix: own, log: () => {} }).find(assignmentOf(null), [
      '42',
    ]);
    return found.get('42')?.[0];
  }

  it('decides each put and each hint like the model, in any order', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const own = `${prefix}:${run++}`;
        const overlay = createOverlayStore({ connection, prefix: own });
        const hints = createHintStore({ connection, prefix: own });
        const reference = createReference();
        for (const one of steps) {
          if (one.kind === 'put') expect(await overlay.putEach([one.entry])).toEqual([reference.put(one.entry)]);
          else {
            await hints.raise([{ userId: '42', history: one.history, version: one.version }]);
            reference.raise({ history: one.history, version: one.version });
          }
        }
        const { stored, hint } = reference.state();
        const hinted = await connection.redis.get(createKeys(own).hint(userKeyOf('42')));
        expect(hinted).toBe(hint && `${hint.history}.${hint.version}`);
        const found = await entryOf42(own);
        if (!stored) expect(found).toBeUndefined();
        else {
          const { predictor: _, userId: __, ...entry } = stored;
          expect(found).toMatchObject(entry);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('keeps the stable arm’s answer although an aborted rollout left an entry with a higher floor', async () => {
    const overlay = createOverlayStore({ connection, prefix });
    await overlay.put([overlayEntry('42', { modelVersionId: 'b2'.repeat(16), overlayFloor: 3, contextVersion: 7 })]);
    expect(await overlay.putEach([overlayEntry('42', { overlayFloor: 1, contextVersion: 7 })])).toEqual(['kept']);
    expect(await entryOf42(prefix)).toMatchObject({ modelVersionId: MODEL, overlayFloor: 1 });
  });

  it('keeps the newest label of the highest floor, in any order of the writers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), async (order) => {
        await deleteKeys(connection, prefix);
        const overlay = createOverlayStore({ connection, prefix });
        const entries = order.map((no) => overlayEntry('42', { overlayFloor: no >> 1, contextVersion: 10 - no }));
        await Promise.all(entries.map((entry) => overlay.put([entry])));
        expect(await entryOf42(prefix)).toMatchObject({ overlayFloor: 2, contextVersion: 6 });
      }),
      { numRuns: 20 },
    );
  });

  it('replaces values that are not an entry: random bytes, another type, impossible numbers', async () => {
    const overlay = createOverlayStore({ connection, prefix });
    const user = userKeyOf('42');
    const key = createKeys(prefix).overlay(user, 'repurchase');
    await connection.redis.rpush(key, 'a list');
    expect(await overlay.putEach([overlayEntry('42')])).toEqual(['kept']);
    const bytes = (await connection.redis.getBuffer(key)) ?? Buffer.alloc(0);
    for (const nonsense of [Number.POSITIVE_INFINITY, Number.NaN, 1e300]) {
      bytes.writeDoubleLE(nonsense, 34);
      await connection.redis.set(key, bytes);
      expect(await overlay.putEach([overlayEntry('42')])).toEqual(['kept']);
    }
    await connection.redis.set(key, bytes.subarray(0, 20));
    await connection.redis.set(createKeys(prefix).hint(user), 'no hint');
    expect(await overlay.putEach([overlayEntry('42')])).toEqual(['kept']);
  });

  it('lets entries and hints expire', async () => {
    await createOverlayStore({ connection, prefix, expiryMs: 60_000 }).put([overlayEntry('42')]);
    await createHintStore({ connection, prefix }).raise([{ userId: '42', history: HISTORY, version: 1 }]);
    const keys = createKeys(prefix);
    expect(await connection.redis.pttl(keys.overlay(userKeyOf('42'), 'repurchase'))).toBeGreaterThan(50_000);
    expect(await connection.redis.pttl(keys.hint(userKeyOf('42')))).toBeGreaterThan(6 * 86_400_000);
  });

  it('uses the first entry when it decides on the second of the same user in one call', async () => {
    const overlay = createOverlayStore({ connection, prefix });
    const [older, newer] = [4, 5].map((contextVersion) => overlayEntry('42', { contextVersion }));
    if (!older || !newer) throw new Error('no entries');
    expect(await overlay.putEach([newer, overlayEntry('7'), older])).toEqual(['kept', 'kept', 'older']);
    expect(await entryOf42(prefix)).toMatchObject({ contextVersion: 5 });
  });

  it('accepts 2,500 entries and returns the result of each, in order', async () => {
    const overlay = createOverlayStore({ connection, prefix });
    const entries = Array.from({ length: 2_500 }, (_, i) => overlayEntry(String(i), { contextVersion: 5 }));
    expect(new Set(await overlay.putEach(entries))).toEqual(new Set(['kept']));
    const mixed = entries.map((entry, i) => ({ ...entry, contextVersion: i % 2 ? 6 : 4 }));
    expect(await overlay.putEach(mixed)).toEqual(mixed.map((_, i) => (i % 2 ? 'kept' : 'older')));
  });
});
