/** Scores the users of one chunk (B4 and B5). A user that cannot be scored fails alone, by name. */

import { TandemError } from '@tandem/freshness/errors';
import { type FeatureBatch, joinBatches, scorableRows } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { partsOf } from '../parts.ts';
import { type FeatureSource, isOfSomeUser } from '../scoring/feature-source.ts';
import { type Attempted, type HalvingLimits, halveFailing } from '../scoring/halve-failing.ts';
import { type IsolatedScores, scoreIsolating } from '../scoring/isolate-poison.ts';
import type { Scorer } from '../scoring/scoring.ts';
import type { ChunkResult, ClaimedChunk, Run, RunFailure } from './runs.ts';
import { type ScoredUsers, scoredUsers } from './scored-users.ts';

export interface ScoreChunkDependencies {
  readonly features: FeatureSource;
  readonly scorer: Scorer;
}

/** The time limit for each row. A slower model would take a day for a hundred thousand users. */
const SCORING_BASE_MS = 10_000;
const SCORING_MS_PER_ROW = 2;

/** Conditions that end the work on a chunk early. */
interface ChunkEnd {
  /** Aborts when the results are no longer needed. */
  readonly lost: AbortSignal;
  /** Aborts when this process must end; this ends the read of features. */
  readonly stopping?: AbortSignal | undefined;
  /** Called between parts of the scoring. If it returns true, the unscored users are returned. */
  isEnough?(): Promise<boolean>;
}

/** The least number of parts of a chunk, and of rows in a part. A chunk can be split between two parts. */
const LEAST_PARTS = 4;
const LEAST_PART_ROWS = 16;
/**
 * The maximum number of rows in a part. A slow model takes four runs for a part, so that more inference processes than
 * chunks can be busy. A fast model takes one run.
 */
const MOST_PART_ROWS = 4_096;
/** The maximum number of chunks that are made of a chunk's returned users. */
const MOST_PIECES = 16;

/** A chunk, and the scope of its run. */
type ScopedChunk = Pick<ClaimedChunk, 'part'> & Pick<Run, 'scope'>;

/**
 * Scores a chunk. Returns the results, and the durations of its read and its scoring in ms.
 * @param onProgress called after the features are read, and after each part of the scoring
 */
export async function scoreChunk(
  { features, scorer }: ScoreChunkDependencies,
  version: ModelVersion,
  { run: { scope }, chunk: { part } }: { readonly run: Pick<Run, 'scope'>; readonly chunk: Pick<ClaimedChunk, 'part'> },
  { lost, stopping, isEnough }: ChunkEnd,
  onProgress: () => void,
) {
  const chunk = { part, scope };
  const started = performance.now();
  const ended = stopping ? AbortSignal.any([lost, stopping]) : lost;
  const { batch, rows, failures: unread } = await readChunk(features, version, chunk, ended, onProgress);
  const onPart = () => {
    lost.throwIfAborted();
    onProgress();
  };
  onPart();
  const read = performance.now();
  const partRows = Math.min(MOST_PART_ROWS, Math.max(LEAST_PART_ROWS, Math.ceil(rows.length / LEAST_PARTS)));
  const parts = { onPart, partRows, ...(isEnough && { isEnough }) };
  const timeoutMs = SCORING_BASE_MS + SCORING_MS_PER_ROW * rows.length;
  const scores = await scoreIsolating(scorer, { version, batch, rows, timeoutMs, priority: 'batch' }, parts);
  lost.throwIfAborted();
  const scored = scoredOf(batch, scores);
  const failures = [...unread, ...failuresOf(batch, batch.faults), ...failuresOf(batch, scores.faults)];
  return {
    result: { history: batch.history, computedAt: batch.readAt, scored, failures, ...handedBackOf(batch, scores) },
    readMs: read - started,
    scoreMs: performance.now() - read,
  };
}

/**
 * Returns the scored users. Usually all rows, or the first ones, were scored without a failure, so that the columns
 * that were read can be used.
 */
function scoredOf({ userIds, contextVersions }: FeatureBatch, scores: IsolatedScores): ScoredUsers {
  const columns = joinParts(scores);
  if (columns) {
    const users = columns.offsets.length - 1;
    if (users === userIds.length) return { userIds, contextVersions, ...columns };
    return { userIds: userIds.slice(0, users), contextVersions: contextVersions.slice(0, users), ...columns };
  }
  const users = [...scores.outputs].map(([row, outputs]) => {
    return { userId: userIds[row] ?? '', contextVersion: contextVersions[row] ?? 0, outputs };
  });
  return scoredUsers(users);
}

/** Returns the joined outputs of all parts; null if the parts are not the first rows without a gap. */
function joinParts({ parts }: IsolatedScores): Pick<ScoredUsers, 'outputs' | 'offsets'> | null {
  const offsets = new Uint32Array(parts.reduce((sum, part) => sum + part.rows.length, 1));
  let [row, bytes] = [0, 0];
  for (const { rows, encoded } of parts) {
    if (encoded.faults.size > 0 || rows[0] !== row || rows.at(-1) !== row + rows.length - 1) return null;
    for (const end of encoded.offsets.subarray(1)) offsets[++row] = bytes + end;
    bytes += encoded.bytes.length;
  }
  return { outputs: Buffer.concat(parts.map(({ encoded }) => encoded.bytes)), offsets };
}

/**
 * Cuts the returned users into pieces that take about half as long as the scored part, so that waiting workers share
 * slow users.
 */
function handedBackOf({ userIds }: FeatureBatch, { left, parts }: IsolatedScores): Pick<ChunkResult, 'handedBack'> {
  if (left.length === 0) return {};
  const scored = parts.reduce((sum, { rows }) => sum + rows.length, 0);
  const chunkSize = Math.max(1, Math.ceil(scored / 2), Math.ceil(left.length / MOST_PIECES));
  return { handedBack: { userIds: left.map((row) => userIds[row] ?? ''), chunkSize } };
}

function failuresOf(batch: FeatureBatch, faults: ReadonlyMap<number, string>): RunFailure[] {
  return [...faults].map(([row, reason]) => ({ userId: batch.userIds[row] ?? '', reason }));
}

// The features of a chunk are read with their versions (B4). If the query fails for one user, the users are read in
// halves until that user is alone. Each smaller statement reads features and versions together, so that every label
// stays true.

interface ChunkFeatures {
  readonly batch: FeatureBatch;
  /** The rows that can be scored. */
  readonly rows: readonly number[];
  /**
   * Users without a row in the batch: the query fails for them, or the run names them but the feature source has no
   * row.
   */
  readonly failures: readonly RunFailure[];
}

/** The number of failing statements for each user, which is enough to find one faulty user in a hundred. */
const FAILURES_A_USER = 1 / 8;
const LIMITS: HalvingLimits = { budget: 128, brokenAfter: 16, failingMs: 120_000, culprit: 'the feature query' };

/** Reads a chunk. Rejects like the feature source if the query fails for every user. */
export async function readChunk(
  features: FeatureSource,
  version: ModelVersion,
  { part, scope }: ScopedChunk,
  lost: AbortSignal,
  onProgress: () => void,
): Promise<ChunkFeatures> {
  const named = (userIds: readonly string[]) => readNamed(features, version, { userIds, scope }, lost);
  try {
    if ('userIds' in part) return await named(part.userIds);
    const batch = await features.readRange(version, part.range, lost);
    return { batch, rows: scorableRows(batch), failures: [] };
  } catch (error) {
    if (!isOfSomeUser(error)) throw error;
    const userIds = 'userIds' in part ? part.userIds : await features.usersOf(version, part.range, lost);
    onProgress();
    return readApart(named, userIds, onProgress, error);
  }
}

/**
 * Reads users in smaller statements.
 * @param cause why the users could not be read together
 */
async function readApart(
  readUsers: (userIds: readonly string[]) => Promise<ChunkFeatures>,
  userIds: readonly string[],
  onPart: () => void,
  cause: Error,
): Promise<ChunkFeatures> {
  const read: ChunkFeatures[] = [];
  const failures: RunFailure[] = [];
  let isProven = true;
  await halveFailing(
    partsOf(userIds),
    {
      async attempt(part): Promise<Attempted<string>> {
        try {
          read.push(await readUsers(part));
          return 'done';
        } catch (error) {
          if (isOfSomeUser(error)) return { failed: error.message };
          throw error;
        }
      },
      giveUp(part, reason, isAlone) {
        isProven &&= isAlone;
        failures.push(...part.map((userId) => ({ userId, reason })));
      },
      hasSuccess: () => read.length > 0,
      onPart,
    },
    { ...LIMITS, budget: Math.max(LIMITS.budget, userIds.length * FAILURES_A_USER) },
  );
  // The query failed for every tried user, so the attempt fails with the reason.
  if (read.length === 0 && !isProven) throw cause;
  const [first = await readUsers([]), ...others] = read;
  return { ...others.reduce(join, first), failures: [...failures, ...read.flatMap((one) => one.failures)] };
}

function join(first: ChunkFeatures, second: ChunkFeatures): ChunkFeatures {
  if (first.batch.history !== second.batch.history) {
    throw new TandemError('history_changed', 'The history of the database changed while a chunk was read.');
  }
  const offset = first.batch.userIds.length;
  return {
    batch: joinBatches(first.batch, second.batch),
    rows: [...first.rows, ...second.rows.map((row) => offset + row)],
    failures: [],
  };
}

/**
 * Reads the features of named users. A run of all users omits users without a row, as a range does. Other runs report
 * them as failed.
 */
async function readNamed(
  features: FeatureSource,
  version: ModelVersion,
  { userIds, scope }: { readonly userIds: readonly string[]; readonly scope: Run['scope'] },
  lost: AbortSignal,
): Promise<ChunkFeatures> {
  const { batch, erased } = await features.readNamed(version, userIds, lost);
  const found = new Set(batch.userIds);
  // An erased user is neither scored nor named: a run's report must not contain erased users.
  const absent = scope === 'all' ? [] : userIds.filter((userId) => !found.has(userId) && !erased.has(userId));
  const failures = absent.map((userId) => ({ userId, reason: 'the feature query has no row for this user' }));
  const isErasedRow = (row: number) => erased.has(batch.userIds[row] ?? '');
  const rows = scorableRows(batch).filter((row) => !isErasedRow(row));
  const faults = new Map([...batch.faults].filter(([row]) => !isErasedRow(row)));
  return { batch: { ...batch, faults }, rows, failures };
}
