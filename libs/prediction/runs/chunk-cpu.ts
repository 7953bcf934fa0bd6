/**
 * The CPU time of chunks. A worker has several under way, of which one is read while another is scored, and its event loop serves
 * them all: chunks that share a moment share its CPU time equally. What inference takes comes in when a run of a model ends.
 */
export interface ChunkCpu {
  begin(): ChunkTime;
}

interface ChunkTime {
  /** Ends the chunk, and returns its milliseconds of CPU; called again it returns the same. */
  end(): number;
}

/** @param total milliseconds of CPU since the start, of this process and of its inference of batches */
export function createChunkCpu(total: () => number): ChunkCpu {
  const underWay = new Set<{ ms: number }>();
  let last = 0;

  /** Divides what was used since the last call. */
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
        end() {
          divide();
          underWay.delete(time);
          return time.ms;
        },
      };
    },
  };
}
