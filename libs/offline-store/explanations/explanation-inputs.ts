/** Features of users read once more, for the explanations of answers that were stored long before. */

import type { ModelVersion } from '@tandem/freshness/predictor';
import { inputsOfRow } from '@tandem/prediction/explanations/inputs-of-row';
import type { InputSource } from '@tandem/prediction/explanations/kept-explanation';
import type pg from 'pg';
import { NO_ARMS } from '../certificate/certificate-statement.ts';
import { readUsers } from '../features/features.ts';
import { findModelVersion } from '../models/registry.ts';
import { query } from '../sql/database.ts';

const TIMEOUT_MS = 2_000;
/** Versions that are remembered. */
const MAX_VERSIONS = 64;

/** @param features the pool of feature statements */
export function createInputSource(pool: pg.Pool, features: pg.Pool): InputSource {
  const versions = new Map<string, ModelVersion>();
  return {
    async readInputs(version, userIds) {
      const { batch } = await readUsers(features, version, userIds, {
        ...{ timeoutMs: TIMEOUT_MS, known: NO_ARMS, certified: 'with rows' },
      });
      return new Map(batch.userIds.map((userId, row) => [userId, inputsOfRow({ batch, row }, 'after_the_reply')]));
    },
    async versionOf(predictor, number) {
      const key = `${number} ${predictor}`;
      const known = versions.get(key);
      if (known) return known;
      const version = await findByNumber(pool, predictor, number);
      if (versions.size >= MAX_VERSIONS) versions.clear();
      versions.set(key, version);
      return version;
    },
  };
}

async function findByNumber(pool: pg.Pool, predictor: string, number: number): Promise<ModelVersion> {
  const [row] = await query<{ id: string }>(pool, {
    text: 'select id from tandem.model_versions where predictor = $1 and number = $2',
    values: [predictor, number],
  });
  if (!row) throw new Error(`predictor ${predictor} has no model version ${number}`);
  return findModelVersion(pool, row.id);
}
