/**
 * How many users a chunk gets, by time: so few that a worker which joins, leaves or dies, or is slower than the others,
 * changes when a run ends by a few hundredths of the run's time. Where a run has few chunks, those at its end are smaller.
 */

/** How fast an earlier run of the same kind was. */
export interface MeasuredRun {
  /** Rate of one chunk under way. */
  readonly usersPerSecond: number;
  /** Time from the first claim to the last commit. */
  readonly seconds: number;
  readonly users: number;
}

export interface ChunkSizes {
  /** Users of a chunk. */
  readonly size: number;
  /** Users of a chunk at the end of the run. */
  readonly lastSize: number;
  /** The intended duration of a chunk of `size` users. */
  readonly chunkMs: number;
}

/** The time of a chunk without an earlier run. */
export const USUAL_CHUNK_MS = 5_000;
/** The cost of claim and commit is small against it, and it is short enough at the end of a run. */
const LEAST_CHUNK_MS = 500;
const LEAST_LAST_MS = 100;
/** However slow a run was: each chunk is a row. */
const MOST_CHUNKS = 20_000;
/** A run that took less has no tail to speak of, and tells little. */
const SHORTEST_RUN_S = 10;
/** Share of the time of a run. */
const CHUNK_SHARE = 1 / 50;
/** Chunks that take less than this share of the run leave no tail. */
const SHORT_SHARE = 1 / 100;
/** The chunks at the end of a run have a quarter of the users of the others. */
const LAST_PARTS = 4;
const LAST_SHARE = 1 / 5;

/** @param most users of a chunk, whatever time they take */
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
 * Chooses from the boundaries of ranges of `lastSize` users each those of ranges of about `size`, and at the end all.
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
