/**
 * The contract of every store of predictions: it returns exactly the stored predictions with their labels, and nothing
 * else. It is run against each implementation.
 */
import type { Assignment } from '@tandem/freshness/certificate';
import type { OverlayEntry, OverlayStore, StoredPredictions } from '@tandem/freshness/stored-prediction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface StoredUserRow {
  readonly userId: string;
  readonly contextVersion: number;
  readonly outputs: Buffer;
}

/** A store with a generation and an overlay. */
interface StoredSubject {
  readonly predictions: StoredPredictions;
  readonly overlay: OverlayStore;
  readonly history: string;
  /** Makes a current generation of exactly these rows, all with the same `computedAt` (ms since 1970). */
  fill(rows: readonly StoredUserRow[], computedAt: number): Promise<Assignment>;
  /** Makes another current generation of these rows, with the generation of `fill` as its base. */
  fillAbove(below: Assignment, rows: readonly StoredUserRow[], computedAt: number): Promise<Assignment>;
  close(): Promise<unknown>;
}

const COMPUTED_AT = Date.UTC(2030, 0, 1);
const UUID = '0190a3f2-7c1e-7000-8000-000000000001';
const MANY = Array.from({ length: 1_000 }, (_, i) => `many-${i}`);
const IN_GENERATION = ['1', '2', UUID, ...MANY];
const rowOf = (userId: string, i: number): StoredUserRow => ({
  userId,
  contextVersion: i,
  outputs: Buffer.from(`of ${userId}`),
});

/**
 * Declares the tests.
 * @param open opens a new, empty store
 */
export function describeStoredPredictions(name: string, open: () => Promise<StoredSubject>): void {
  describe(`stored predictions in ${name}`, () => {
    let subject: StoredSubject;
    let assignment: Assignment;
    beforeAll(async () => {
      subject = await open();
      assignment = await subject.fill(IN_GENERATION.map(rowOf), COMPUTED_AT);
      await subject.overlay.put([entryOf('2'), entryOf('3')]);
    });
    afterAll(() => subject?.close());

    const entryOf = (userId: string): OverlayEntry => ({
      predictor: assignment.predictor,
      userId,
      modelVersionId: assignment.modelVersionId,
      history: subject.history,
      overlayFloor: assignment.overlayFloor,
      contextVersion: 9,
      source: 'live',
      computedAt: COMPUTED_AT + 5,
      outputs: Buffer.from(`live of ${userId}`),
    });
    const find = (userIds: readonly string[], changes: Partial<Assignment> = {}) =>
      subject.predictions.find({ ...assignment, ...changes }, userIds);

    it('are found unchanged, with their generation', async () => {
      const found = await find(['1', UUID]);
      const stored = {
        layer: 'generation',
        source: 'batch',
        modelVersionId: assignment.modelVersionId,
        generationId: assignment.generation?.id,
        history: null,
        overlayFloor: null,
        computedAt: COMPUTED_AT,
      };
      expect(found.get('1')).toMatchObject([{ ...stored, contextVersion: 0, outputs: Buffer.from('of 1') }]);
      expect(found.get(UUID)).toMatchObject([{ ...stored, contextVersion: 2, outputs: Buffer.from(`of ${UUID}`) }]);
    });

    it('are from the generation first, then from the overlay', async () => {
      const { predictor: _, userId: __, ...entry } = entryOf('2');
      const found = await find(['2', '3']);
      expect(found.get('2')).toEqual([
        expect.objectContaining({ layer: 'generation', contextVersion: 1 }),
        { ...entry, refreshed: false, layer: 'overlay', generationId: null },
      ]);
      expect(found.get('3')).toMatchObject([{ layer: 'overlay', contextVersion: 9 }]);
    });

    it('are from the base only for users without a row in the generation above', async () => {
      const above = await subject.fillAbove(
        assignment,
        ['1', 'new'].map((userId) => ({ userId, contextVersion: 7, outputs: Buffer.from(`new of ${userId}`) })),
        COMPUTED_AT + 3,
      );
      const found = await subject.predictions.find(above, ['1', '2', '3', 'new', UUID, 'none']);
      const layers = ['1', '2', '3', 'new', UUID, 'none'].map((userId) =>
        found.get(userId)?.map(({ layer, generationId, contextVersion }) => ({ layer, generationId, contextVersion })),
      );
      const [own, base] = [above.generation?.id, assignment.generation?.id];
      const overlaid = { layer: 'overlay', generationId: null, contextVersion: 9 };
      expect(layers).toEqual([
        [{ layer: 'generation', generationId: own, contextVersion: 7 }],
        [{ layer: 'generation', generationId: base, contextVersion: 1 }, overlaid],
        [overlaid],
        [{ layer: 'generation', generationId: own, contextVersion: 7 }],
        [{ layer: 'generation', generationId: base, contextVersion: 2 }],
        undefined,
      ]);
      expect(found.get('1')?.[0]).toMatchObject({ computedAt: COMPUTED_AT + 3, outputs: Buffer.from('new of 1') });
      expect(found.get(UUID)?.[0]).toMatchObject({ computedAt: COMPUTED_AT, outputs: Buffer.from(`of ${UUID}`) });
    });

    it('are only from the overlay if there is no current generation, or if it was removed', async () => {
      for (const generation of [null, elsewhere()]) {
        const found = await find(['1', '2'], { generation });
        expect([...found.keys()]).toEqual(['2']);
        expect(found.get('2')).toMatchObject([{ layer: 'overlay' }]);
      }
    });

    it('of another predictor are not found', async () => {
      expect(await find(['2', '3'], { predictor: 'another', generation: null })).toEqual(new Map());
    });

    it('leave out unknown users; a request for no users returns none', async () => {
      expect([...(await find(['unknown', '1', 'of 1', ''])).keys()]).toEqual(['1']);
      expect(await find([])).toEqual(new Map());
    });

    it('are found for a thousand users at once, each with its own value, and for concurrent finds', async () => {
      const check = (found: Awaited<ReturnType<typeof find>>, userIds: readonly string[]) =>
        expect(userIds.filter((id) => found.get(id)?.[0]?.outputs.toString() !== `of ${id}`)).toEqual([]);
      const together = await find(MANY);
      expect(together.size).toBe(MANY.length);
      check(together, MANY);
      const apart = await Promise.all(MANY.slice(0, 100).map((id) => find([id])));
      apart.forEach((found, i) => {
        expect(found.size).toBe(1);
        check(found, MANY.slice(i, i + 1));
      });
    });

    it('of a user who is requested twice are found once', async () => {
      const found = await find(['1', '1']);
      expect([found.size, found.get('1')?.length]).toEqual([1, 1]);
    });

    function elsewhere(): Assignment['generation'] {
      const { generation } = assignment;
      return generation && { ...generation, id: '00000000-0000-4000-8000-000000000000' };
    }
  });
}
