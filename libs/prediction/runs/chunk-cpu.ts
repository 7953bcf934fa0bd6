/**
 * The CPU time of chunks. A worker has several chunks in progress: it reads one while it scores another, on one event
 * loop. Concurrent chunks share the CPU time equally. The CPU time of inference is added when a run of a model ends.
 */
export type ChunkCpu = ReturnType<typeof createChunkCpu>;

/**
 * Creates the meter of chunks.
 * @param total returns the CPU time in ms since the start, of this process and of its inference of batches
 */
export function createChunkCpu(total: () => number) {
  const underWay = new Set<{ ms: number }>();
  let last = 0;

  /** Divides the CPU time since the last call among the current chunks. */
  function divide(): void {
    const now = total();
    for (const one of underWay) one.ms += (now - last) / underWay.size;
    last = now;
  }

  return {
    begin() {
      divide();
      const time = { ms: 0 };
      underWay.add(time);
      return {
        /** Ends the chunk, and returns its CPU time in ms. A second call returns the same. */
        end(): number {
          divide();
          underWay.delete(time);
          return time.ms;
        },
      };
    },
  };
}
