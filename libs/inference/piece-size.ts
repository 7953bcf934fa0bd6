/**
 * How many rows of a run a model is given at once. More is not always quicker: 200 trees of ONNX Runtime 1.30 take 2 µs a
 * row in pieces of 64 and nearly 5 in pieces of 128 and more, while a network multiplies larger matrices at less a row.
 * So large runs try a few sizes, and go on in the one that takes the least time a row.
 */
export interface PieceSizes {
  /** Rows at once for a run of so many; as many where there is nothing to choose. */
  next(rows: number): number;
  /** @param ms that a run of `rows` took in pieces of `size` */
  observe(size: number, rows: number, ms: number): void;
}

interface Candidate {
  /** Rows at once. */
  readonly size: number;
  /** Runs of this size that were looked at. */
  runs: number;
  msPerRow: number;
}

/** In the order in which they are tried. A cut costs some 10 µs, a tenth of a µs a row of the smallest. */
const SIZES = [Number.POSITIVE_INFINITY, 64, 256];
const SMALLEST = Math.min(...SIZES);
/** Runs after which a size is known; the first one warms caches up and does not count. */
const KNOWN_AFTER = 3;
/** So many runs later the others are looked at again, one a time: what else the machine does may have misled. */
const LOOK_AGAIN_AFTER = 100;
/** What the latest run weighs. */
const WEIGHT = 0.3;

export function createPieceSizes(): PieceSizes {
  const candidates: readonly Candidate[] = SIZES.map((size) => ({ size, runs: 0, msPerRow: 0 }));
  let [choices, looks] = [0, 0];

  function choose(among: readonly Candidate[]): Candidate | undefined {
    choices++;
    const unknown = among.find(({ runs }) => runs < KNOWN_AFTER);
    if (unknown) return unknown;
    if (choices % LOOK_AGAIN_AFTER === 0) return among[looks++ % among.length];
    return among.reduce((best, one) => (one.msPerRow < best.msPerRow ? one : best));
  }

  return {
    next(rows) {
      if (rows <= SMALLEST) return rows;
      const among = candidates.filter(({ size }) => size < rows || size === Number.POSITIVE_INFINITY);
      return Math.min(rows, choose(among)?.size ?? rows);
    },
    observe(size, rows, ms) {
      if (rows <= SMALLEST) return;
      const candidate = candidates.find((one) => Math.min(rows, one.size) === size);
      if (!candidate) return;
      const msPerRow = ms / rows;
      candidate.msPerRow =
        candidate.runs < 2 ? msPerRow : candidate.msPerRow + WEIGHT * (msPerRow - candidate.msPerRow);
      candidate.runs++;
    },
  };
}
