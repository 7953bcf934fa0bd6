/**
 * Loads of committed chunks that go on while their jobs are done already, so that the next chunk need not wait for Redis.
 * What is under way when its process dies is committed all the same: the generation then lacks users, is not marked as
 * loaded, and the reconciler has it loaded from its rows.
 */

/** Whose load it is. */
export interface LoadedChunk {
  readonly runId: string;
  readonly no: number;
  readonly users: number;
}

export interface ChunkLoads {
  /**
   * Begins a load and waits for room for the next: resolves at once, or when enough of those before have ended.
   * @param load gives why it failed, or null
   */
  begin(chunk: LoadedChunk, load: () => Promise<string | null>): Promise<void>;
  /** When all that were begun have ended. */
  settled(): Promise<void>;
}

export interface ChunkLoadsOptions {
  /** Users that may be under way: what a slow Redis costs in memory. */
  readonly mostUsers?: number;
  /** Told why a load failed; it is not tried again here. */
  onFailed(chunk: LoadedChunk, why: string): void;
}

export function createChunkLoads({ mostUsers = 200_000, onFailed }: ChunkLoadsOptions): ChunkLoads {
  const underWay = new Set<Promise<void>>();
  let users = 0;

  async function run(chunk: LoadedChunk, load: () => Promise<string | null>): Promise<void> {
    users += chunk.users;
    const why = await load().catch((error: unknown) => String(error));
    users -= chunk.users;
    if (why !== null) onFailed(chunk, why);
  }

  return {
    async begin(chunk, load) {
      const running: Promise<void> = run(chunk, load).finally(() => underWay.delete(running));
      underWay.add(running);
      while (users > mostUsers) await Promise.race(underWay);
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
