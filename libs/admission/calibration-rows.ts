/** Reads the rows to calibrate a static int8 build: model inputs of real users from the calibration half. */

import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { WireTensor } from '@tandem/inference/process/protocol';
import { encodeInputs, joinInputs } from '@tandem/inference/tensors/batch-tensors';
import { readLivingUsers } from './read-living-users.ts';
import type { Pool } from './sample-users.ts';
import { usersOfHalf } from './sample-users.ts';

export interface CalibrationRows {
  readonly users: number;
  /** Tensors with one row for each user. */
  readonly tensors: readonly WireTensor[];
}

/**
 * Returns the model inputs of up to `most` users. Rejects with `features_unusable` if there are no rows, or if a row
 * does not fit the inputs.
 */
export async function readCalibrationRows(pool: Pool, version: ModelVersion, most: number): Promise<CalibrationRows> {
  const userIds = await usersOfHalf(pool, version, 'calibration', most);
  const { batch, fault } = await readLivingUsers(pool, version, userIds ?? []);
  const users = batch.userIds.length;
  if (users === 0) {
    const why = fault ?? (userIds === null ? 'their ids were not read in time' : 'the feature query returns none');
    throw new TandemError('features_unusable', `There are no users to calibrate with: ${why}.`, {
      remedy: 'fix the feature query: tandem check shows the error',
    });
  }
  const rows = batch.userIds.map((_, row) => row);
  return { users, tensors: joinInputs([encodeInputs(version.inputs, batch, rows)], users) };
}
