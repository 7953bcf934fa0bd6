/**
 * Model versions whose answers say by themselves which of them computed it: version n gives the count of the user's
 * changes, and (n - 1) of so many parts of one. They are there from the beginning, as if somebody had pushed them all, so
 * that a restored backup takes none away.
 */
import { insertArtifact } from '@tandem/offline-store/artifacts';
import { transaction } from '@tandem/offline-store/database';
import { keepVersion } from '@tandem/offline-store/model-versions';
import { lockAssignments } from '@tandem/offline-store/settings';
import { floats, node } from '@tandem/testing/onnx-writer';
import { scoreModel } from '@tandem/testing/score-model';
import { COUNT, type Counts, loadedPredictor, type Pool } from '../../e2e/counts.fixture.ts';

/** Version 1, which test/e2e/counts.fixture.ts adopts, gives the count alone. */
export const VERSIONS = 100;
/** A float32 has room for counts up to 131,072 beside it. */
const PARTS = 128;

/** Inserts all but the first. */
export async function insertToldVersions(pool: Pool, { freshness = {}, batch = {} }: Counts): Promise<void> {
  await transaction(pool, async (db) => {
    await lockAssignments(db);
    for (let number = 2; number <= VERSIONS; number++) {
      const own = floats('own', [1], [(number - 1) / PARTS]);
      const model = scoreModel(1, [node('Add', ['features', 'own'], ['score'])], [own]);
      const { definition } = loadedPredictor({ name: COUNT, model, columns: ['changes'], freshness, batch });
      await insertArtifact(db, definition.artifactHash, model);
      const kept = await keepVersion(db, { definition, origin: { by: 'test', how: 'push' } });
      if (kept.number !== number) throw new Error(`model version ${kept.number} was to be ${number}`);
    }
  });
}

/** What a score says: the count, and the number of the model version; a fraction where it is of none. */
export function toldBy(score: number): { readonly count: number; readonly version: number } {
  // On the wire it is the shortest text that is this float32.
  const exact = Math.fround(score);
  const count = Math.floor(exact);
  return { count, version: 1 + (exact - count) * PARTS };
}
