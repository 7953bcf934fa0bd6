/**
 * The contract of every overlay store: within a history and floor, an older entry never replaces a newer one. It is run
 * against each implementation.
 */
import type { Assignment } from '@tandem/freshness/certificate';
import type { OverlayEntry, OverlayStore, StoredPredictions } from '@tandem/freshness/stored-prediction';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

/** An overlay, and the port with which reads find its entries. */
interface OverlaySubject {
  readonly overlay: OverlayStore;
  readonly predictions: StoredPredictions;
  /** The assignment of the entries' predictor and model version, without a current generation. */
  readonly assignment: Assignment;
  /** The store's own history, 16 hex digits. */
  readonly history: string;
  /** Removes all entries. */
  clear(): Promise<unknown>;
  close(): Promise<unknown>;
}

const COMPUTED_AT = Date.UTC(2026, 0, 1);
const base = { overlayFloor: 1, contextVersion: 5, source: 'live', computedAt: COMPUTED_AT } as const;

/** Entries that replace a stored entry, and entries that do not. */
const attempts: readonly (readonly [string, Partial<OverlayEntry>, boolean])[] = [
  ['a newer label', { contextVersion: 6 }, true],
  ['a newer label that was computed earlier', { contextVersion: 6, computedAt: COMPUTED_AT - 1_000 }, true],
  ['a newer label of a batch', { contextVersion: 6, source: 'batch' }, true],
  ['an older label', { contextVersion: 4, computedAt: COMPUTED_AT + 1_000 }, false],
  ['the same label computed later', { computedAt: COMPUTED_AT + 1 }, true],
  ['the same label computed earlier', { computedAt: COMPUTED_AT - 1 }, false],
  ['a higher floor with an older label', { overlayFloor: 2, contextVersion: 1 }, true],
  ['a lower floor with a newer label', { overlayFloor: 0, contextVersion: 9 }, false],
];

/**
 * Declares the tests.
 * @param open opens a new, empty store
 */
export function describeOverlayStore(name: string, open: () => Promise<OverlaySubject>): void {
  describe(`the overlay in ${name}`, () => {
    let subject: OverlaySubject;
    beforeAll(async () => {
      subject = await open();
    });
    beforeEach(async () => {
      await subject.clear();
    });
    afterAll(() => subject?.close());

    const entryOf = (userId: string, changes: Partial<OverlayEntry> = {}): OverlayEntry => {
      const { predictor, modelVersionId } = subject.assignment;
      const outputs = Buffer.from([1, 2, 3, 4]);
      return { ...base, predictor, userId, modelVersionId, history: subject.history, outputs, ...changes };
    };
    const find = (...userIds: string[]) => subject.predictions.find(subject.assignment, userIds);
    const keptOf = async (userId: string) => (await find(userId)).get(userId)?.[0];

    it('returns an entry unchanged', async () => {
      const entry = entryOf('42', { outputs: Buffer.from([0, 255, 7]), contextVersion: 2 ** 40 });
      await subject.overlay.put([entry]);
      const { predictor: _, userId: __, ...kept } = entry;
      expect(await keptOf('42')).toEqual({ ...kept, refreshed: false, layer: 'overlay', generationId: null });
    });

    it('records that a re-scoring made an entry, until another entry replaces it', async () => {
      await subject.overlay.put([entryOf('42', { refreshed: true }), entryOf('43')]);
      expect(await keptOf('42')).toMatchObject({ ...base, refreshed: true });
      expect(await keptOf('43')).toMatchObject({ refreshed: false });
      await subject.overlay.put([entryOf('42', { contextVersion: 6 })]);
      expect(await keptOf('42')).toMatchObject({ contextVersion: 6, refreshed: false });
    });

    it('accepts a call without entries', async () => {
      await subject.overlay.put([]);
      expect(await keptOf('42')).toBeUndefined();
    });

    it.each(attempts)('lets %s replace the stored entry, or not: %o %s', async (_, changes, replaces) => {
      await subject.overlay.put([entryOf('42')]);
      await subject.overlay.put([entryOf('42', { ...changes, outputs: Buffer.from([9]) })]);
      expect((await keptOf('42'))?.outputs[0]).toBe(replaces ? 9 : 1);
    });

    it('accepts the same entry again without an effect', async () => {
      await subject.overlay.put([entryOf('42')]);
      await subject.overlay.put([entryOf('42')]);
      expect(await keptOf('42')).toMatchObject(base);
    });

    it('keeps the best entry of a user in a batch, at any position', async () => {
      for (const versions of [
        [5, 7, 6],
        [7, 6, 5],
        [5, 6, 7],
      ]) {
        await subject.clear();
        await subject.overlay.put(versions.map((contextVersion) => entryOf('42', { contextVersion })));
        expect(await keptOf('42')).toMatchObject({ contextVersion: 7 });
      }
    });

    it('keeps the newest label of the highest floor, with concurrent writers in any order', async () => {
      const numbers = Array.from({ length: 6 }, (_, no) => no);
      for (const step of [1, 5]) {
        await subject.clear();
        const order = numbers.map((no) => (no * step) % 6);
        const entries = order.map((no) => entryOf('42', { overlayFloor: no >> 1, contextVersion: 10 - no }));
        await Promise.all(entries.map((entry) => subject.overlay.put([entry])));
        expect(await keptOf('42')).toMatchObject({ overlayFloor: 2, contextVersion: 6 });
      }
    });

    it('keeps separate entries for thousands of users, even with writers in opposite order', async () => {
      const users = Array.from({ length: 2_500 }, (_, i) => String(i));
      const entries = users.map((userId) => entryOf(userId, { outputs: Buffer.from(userId) }));
      await Promise.all([subject.overlay.put(entries), subject.overlay.put(entries.toReversed())]);
      const found = await find(...users);
      expect(users.filter((userId) => found.get(userId)?.[0]?.outputs.toString() !== userId)).toEqual([]);
    });
  });
}
