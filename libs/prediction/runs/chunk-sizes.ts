/**
 * Chooses the number of users in a chunk by the time that the chunk takes. Chunks are so small that a worker that
 * joins, leaves, dies or is slow changes the duration of a run by only a few percent. If a run has few chunks, the
 * chunks at its end are smaller.
 */

/** The speed of an earlier run of the same kind. */
export interface MeasuredRun {
  /** The rate of one chunk in progress. */
  readonly usersPerSecond: number;
  /** The time from the first claim to the last commit. */
  readonly seconds: number;
  readonly users: number;
}

export interface ChunkSizes {
  /** The number of users in a chunk. */
  readonly size: number;
  /** The number of users in a chunk at the end of the run. */
  readonly lastSize: number;
  /** The intended duration of a chunk of `size` users. */
  readonly chunkMs: number;
}

/** The intended duration of a chunk if there is no earlier run. */
export const USUAL_CHUNK_MS = 5_000;
/** The least duration of a chunk: long compared with claim and commit, and short enough at the end of a run. */
const LEAST_CHUNK_MS = 500;
const LEAST_LAST_MS = 100;
/** The maximum number of chunks of a slow run, since each chunk is a row. */
const MOST_CHUNKS = 20_000;
/** A shorter run has no tail worth splitting, and its measurement is too imprecise. */
const SHORTEST_RUN_S = 10;
/** The duration of a chunk as a share of the run's duration. */
const CHUNK_SHARE = 1 / 50;
/** Chunks that take less than this share of the run leave no tail. */
const SHORT_SHARE = 1 / 100;
/** The chunks at the end of a run have a quarter of the users of the others. */
const LAST_PARTS = 4;
const LAST_SHARE = 1 / 5;

/**
 * Chooses the sizes of chunks.
 * @param most the maximum number of users in a chunk, whatever its duration
 */
export function sizeChunks(measured: MeasuredRun | null, most: number): ChunkSizes {
  if (measured === null || measured.seconds < SHORTEST_RUN_S)
    return { size: most, lastSize: most, chunkMs: USUAL_CHUNK_MS };
  const { usersPerSecond, seconds, users } = measured;
  const least = Math.min(most, Math.max(1, Math.ceil(users / MOST_CHUNKS)));
  const chunkMs = Math.min(USUAL_CHUNK_MS, Math.max(LEAST_CHUNK_MS, seconds * 1_000 * CHUNK_SHARE));
  const usersIn = (ms: number) => Math.max(least, Math.min(most, Math.floor((usersPerSecond * ms) / 1_000)));
  const size = usersIn(chunkMs);
  const isShort = size <= usersPerSecond * seconds * SHORT_SHARE;
  const lastSize = isShort ? size : Math.min(size, Math.max(Math.floor(size / LAST_PARTS), usersIn(LEAST_LAST_MS)));
  return { size, lastSize, chunkMs };
}

/**
 * Returns the boundaries of a run's chunks, chosen from those of ranges of `lastSize` users. Chunks have about `size`
 * users, and `lastSize` users at the end of the run.
 * @param keys the first key of each range but the first
 */
export function chooseBoundaries(
  keys: readonly string[],
  users: number,
  { size, lastSize }: Pick<ChunkSizes, 'size' | 'lastSize'>,
): string[] {
  const step = Math.max(1, Math.floor(size / lastSize));
  return keys.filter((_, i) => (i + 1) % step === 0 || (i + 1) * lastSize > users * (1 - LAST_SHARE));
}
