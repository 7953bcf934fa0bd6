/** Chooses the users for a trial: real users, then made-up users, then rows of real users as a run reads them. */

import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import { makeUpRows, withTrialRequests } from '../tensors/made-up-rows.ts';
import type { TrialOptions } from './trial.ts';

/** The most real users of a trial. `MADE_UP_USERS` made-up users are added. */
export const SAMPLE_USERS = 64;
const MADE_UP_USERS = 64;

/**
 * Returns the batch of a trial.
 * @param bothWays the same users twice, in the same order; all can be scored
 */
export function gatherUsers(
  definition: ModelDefinition,
  readSample: FeatureBatch | undefined,
  readBothWays: { readonly live: FeatureBatch; readonly run: FeatureBatch } | undefined,
): Pick<TrialOptions, 'batch' | 'realUsers' | 'users' | 'bothWays'> {
  const sample = readSample && withTrialRequests(definition, readSample);
  const bothWays = readBothWays && {
    live: withTrialRequests(definition, readBothWays.live),
    run: withTrialRequests(definition, readBothWays.run),
  };
  const madeUp = makeUpRows(definition, MADE_UP_USERS, sample ?? bothWays?.live);
  const sampled = sample && firstRows(sample, SAMPLE_USERS);
  const sampledIds = sampled?.userIds ?? [];
  // For users in the sample, the existing row is used.
  const further = bothWays?.live.userIds.flatMap((userId, row) => (sampledIds.includes(userId) ? [] : [row])) ?? [];
  const live = bothWays && pickRows(bothWays.live, further);
  const realIds = [...sampledIds, ...(live?.userIds ?? [])];
  const users = realIds.length + MADE_UP_USERS;
  const pairs = bothWays?.run.userIds.map((userId, i) => ({ live: realIds.indexOf(userId), run: users + i }));
  return {
    batch: joinBatches(
      madeUp,
      [sampled, live, madeUp, bothWays?.run].filter((part) => part !== undefined),
    ),
    realUsers: realIds.length,
    users,
    bothWays: pairs ?? [],
  };
}

function firstRows(batch: FeatureBatch, most: number): FeatureBatch {
  const rows = Array.from({ length: Math.min(most, batch.userIds.length) }, (_, row) => row);
  const faults = new Map([...batch.faults].filter(([row]) => row < most));
  return { ...pickRows(batch, rows), faults, unusable: batch.unusable };
}

/** Returns a batch of these rows, none of which has a fault. */
export function pickRows(batch: FeatureBatch, rows: readonly number[]): FeatureBatch {
  return {
    ...batch,
    userIds: rows.map((row) => batch.userIds[row] ?? ''),
    contextVersions: rows.map((row) => batch.contextVersions[row] ?? 0),
    values: batch.values.map((values) => rows.map((row) => values[row] ?? null)),
    faults: new Map(),
    unusable: new Map(),
  };
}

/** Joins batches in the columns of one. Only faults of the first part are kept, since its rows keep their numbers. */
export function joinBatches(like: FeatureBatch, parts: readonly FeatureBatch[]): FeatureBatch {
  const [first] = parts;
  const valuesOf = ({ columns, values }: FeatureBatch, name: string) =>
    values[columns.findIndex((column) => column.name === name)] ?? [];
  return {
    ...like,
    userIds: parts.flatMap(({ userIds }) => userIds),
    contextVersions: parts.flatMap(({ contextVersions }) => contextVersions),
    values: like.columns.map(({ name }) => parts.flatMap((part) => [...valuesOf(part, name)])),
    faults: first?.faults ?? like.faults,
    unusable: first?.unusable ?? like.unusable,
  };
}
