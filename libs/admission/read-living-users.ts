/** Reads the features of given users for a comparison or a calibration, in parts and without erased users. */

import { isErased } from '@tandem/freshness/certificate';
import { type FeatureBatch, scorableRows } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { joinBatches, pickRows } from '@tandem/inference/admission/trial-users';
import { withTrialRequests } from '@tandem/inference/tensors/made-up-rows';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import type { Pool } from './sample-users.ts';

interface LivingUsers {
  /** Users that can be scored. */
  readonly batch: FeatureBatch;
  /** Why one of the other users cannot be scored; null if all users with a row can be scored. */
  readonly fault: string | null;
}

/** The number of users whose features one statement reads. */
const USERS_OF_A_READ = 500;
const READ_TIMEOUT_MS = 10_000;

/** Returns the users that can be scored. Rejects as the feature source does: `config_invalid`, `unavailable`. */
export async function readLivingUsers(
  pool: Pool,
  version: ModelVersion,
  userIds: readonly string[],
): Promise<LivingUsers> {
  const source = createFeatureSource(pool, { usersTimeoutMs: READ_TIMEOUT_MS });
  const read = async (from: number): Promise<LivingUsers> => {
    const { batch, certificate } = await source.readUsers(version, userIds.slice(from, from + USERS_OF_A_READ));
    const isGone = (row: number) => isErased(certificate.user(batch.userIds[row] ?? '', version.predictor));
    const rows = scorableRows(batch).filter((row) => !isGone(row));
    const [fault = null] = [...batch.faults].filter(([row]) => !isGone(row)).map(([, why]) => why);
    // Request features get trial values. With defaults alone, a build would be measured on one value of each.
    return { batch: withTrialRequests(version, pickRows(batch, rows)), fault };
  };
  const first = await read(0);
  const parts = [first];
  for (let from = USERS_OF_A_READ; from < userIds.length; from += USERS_OF_A_READ) parts.push(await read(from));
  const batches = parts.map(({ batch }) => batch);
  return {
    batch: joinBatches(first.batch, batches),
    fault: parts.find(({ fault }) => fault !== null)?.fault ?? null,
  };
}
