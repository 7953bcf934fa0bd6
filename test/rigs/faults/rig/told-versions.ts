/**
 * The rig's predictor. Its answers contain the facts from which they were computed. `score` is the count of the user's
 * changes, plus (n - 1) / 128 for model version n. `told` is the value in the user's last SQL event, or 0 before the
 * first event. All versions exist from the beginning, so that a restored backup has them too.
 */
import { createHash } from 'node:crypto';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { insertArtifact } from '@tandem/offline-store/models/artifacts';
import { keepVersion } from '@tandem/offline-store/models/model-versions';
import { transaction } from '@tandem/offline-store/sql/database';
import { lockAssignments } from '@tandem/offline-store/sql/settings';
import { FLOAT, floats, graph, model, node, value } from '@tandem/testing/onnx-writer';
import { type Counts, countPredictor, createCounts, type Pool } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import { createSharedRows, SHARED_VALUE } from './shared-rows.ts';

export const VERSIONS = 100;
/** Each version adds 1/128 to the score. A float32 then represents counts up to 131,072 exactly. */
const PARTS = 128;
/** So long that no value expires while the rig runs, also with a wrong clock. */
const OVERLAY_MS = 10 * 365 * 86_400_000;

export interface ToldCounts extends Counts {
  /** Whether users share rows, whose value is then `told`. */
  readonly sharesRows?: boolean;
}

/** Creates the tables and adopts version 1, then inserts the others. */
export async function adoptToldVersions(pool: Pool, counts: ToldCounts): Promise<void> {
  await createCounts(pool, counts.users);
  if (counts.sharesRows) await createSharedRows(pool);
  await adopt(pool, { actor: 'test', predictors: [toldVersion(1, counts)] });
  await transaction(pool, async (db) => {
    await lockAssignments(db);
    for (let number = 2; number <= VERSIONS; number++) {
      const { definition, artifact } = toldVersion(number, counts);
      await insertArtifact(db, definition.artifactHash, artifact);
      const kept = await keepVersion(db, { definition, origin: { by: 'test', how: 'push' } });
      if (kept.number !== number) throw new Error(`expected model version ${number}, not ${kept.number}`);
    }
  });
}

/**
 * Adopts other predictors together with the rig's predictor, whose stable model version does not change. If the rig's
 * predictor has an active rollout, the adoption is rejected and tried again.
 */
export async function adoptBeside(pool: Pool, counts: ToldCounts, others: readonly PredictorToAdopt[]): Promise<void> {
  await until('the config is adopted', async () => {
    const { rows } = await pool.query<{ number: number }>(`select v.number::int as number from tandem.arms a
      join tandem.model_versions v on v.id = a.model_version_id where a.predictor = 'count' and a.name = 'stable'`);
    const own = toldVersion(rows[0]?.number ?? 1, counts);
    await adopt(pool, { actor: 'test', predictors: [own, ...others] });
    return true;
  });
}

function toldVersion(number: number, counts: ToldCounts): PredictorToAdopt & { readonly artifact: Buffer } {
  const predictor = countPredictor(counts);
  const artifact = toldModel((number - 1) / PARTS);
  const { query } = predictor.definition;
  return {
    ...predictor,
    artifact,
    definition: {
      ...predictor.definition,
      artifactHash: createHash('sha256').update(artifact).digest('hex'),
      query: {
        ...query,
        sql: `select user_id, load, changes, ${counts.sharesRows ? SHARED_VALUE : '0::float8'} as told from counts`,
        columns: [...query.columns, { name: 'told', kind: 'number' }],
        overlayForMs: OVERLAY_MS,
      },
      inputs: [
        { name: 'features', type: 'float32', columns: ['changes'] },
        { name: 'values', type: 'float32', columns: ['told'] },
      ],
      outputs: (['score', 'told'] as const).map((name) => ({
        name,
        output: name,
        type: 'float32',
        width: null,
        index: 0,
      })),
    },
  };
}

/** Makes the model: `score` = features + own, `told` = values. */
export function toldModel(own: number): Buffer {
  const column = (name: string) => value(name, FLOAT, ['N', 1]);
  return model(
    graph(
      [node('Add', ['features', 'own'], ['score']), node('Identity', ['values'], ['told'])],
      [floats('own', [1], [own])],
      ['features', 'values'].map(column),
      ['score', 'told'].map(column),
    ),
  );
}

/**
 * Returns the count and the model version's number in a score. The number is a fraction if the score is of no version.
 */
export function toldBy(score: number): { readonly count: number; readonly version: number } {
  // On the wire a score is the shortest text that rounds to this float32.
  const exact = Math.fround(score);
  const count = Math.floor(exact);
  return { count, version: 1 + (exact - count) * PARTS };
}
