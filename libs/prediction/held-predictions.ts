/**
 * Predictions of generations that a read found fresh, held in this process's memory, so that the next read of the same
 * user need not ask Redis. What is held is a candidate like any other and proves nothing: every read of it is judged
 * under a certificate of its own. Only generations are held, which never change; the overlay does, and lies elsewhere.
 *
 * The bound is kept by two halves: what is read moves to the young one, and once that is full it becomes the old one and
 * the old one is dropped (the algorithm of the package hashlru). What nobody reads leaves with time as well, so that no
 * user's prediction stays here for long after an erasure or another publication.
 */
import type { HeldPrediction } from './answer.ts';
import type { Prediction } from './predictor.ts';

export interface HeldPredictions {
  find(generationId: string, userId: string): HeldPrediction | undefined;
  keep(generationId: string, userId: string, held: HeldPrediction): void;
  forget(generationId: string, userId: string): void;
}

export interface HeldPredictionsOptions {
  /** Of memory, as far as it can be told; 0: nothing is held. */
  readonly maxBytes: number;
  /** Milliseconds that only go forward. */
  readonly clock?: () => number;
}

/** What nobody reads is dropped after one to two of these. */
const HALF_LIFE_MS = 600_000;
/** Measured with one score a user and ids of 8 digits: label, prediction, the texts of its last answer, a place in the map. */
const ENTRY_BYTES = 1_300;

type Half = Map<string, Map<string, HeldPrediction>>;

export function createHeldPredictions(options: HeldPredictionsOptions): HeldPredictions {
  const { maxBytes, clock = () => performance.now() } = options;
  let young: Half = new Map();
  let old: Half = new Map();
  let youngBytes = 0;
  let turnedAt = clock();

  function keep(generationId: string, userId: string, held: HeldPrediction): void {
    const bytes = bytesOf(userId, held.prediction);
    if (2 * bytes > maxBytes) return;
    const now = clock();
    if (youngBytes + bytes > maxBytes / 2 || now - turnedAt > HALF_LIFE_MS) {
      old = young;
      young = new Map();
      youngBytes = 0;
      turnedAt = now;
    }
    let users = young.get(generationId);
    if (!users) {
      users = new Map();
      young.set(generationId, users);
    }
    if (!users.has(userId)) youngBytes += bytes;
    users.set(userId, held);
  }

  return {
    keep,
    find(generationId, userId) {
      const recent = young.get(generationId)?.get(userId);
      if (recent) return recent;
      const earlier = old.get(generationId)?.get(userId);
      if (!earlier) return undefined;
      old.get(generationId)?.delete(userId);
      keep(generationId, userId, earlier);
      return earlier;
    },
    forget(generationId, userId) {
      young.get(generationId)?.delete(userId);
      old.get(generationId)?.delete(userId);
    },
  };
}

/** Holds nothing. */
export const NOTHING_HELD: HeldPredictions = Object.freeze({ find: () => undefined, keep() {}, forget() {} });

function bytesOf(userId: string, prediction: Prediction): number {
  let bytes = ENTRY_BYTES + 2 * userId.length;
  for (const value of Object.values(prediction)) {
    if (typeof value === 'object') bytes += 16 * value.length;
    else if (typeof value === 'string') bytes += 2 * value.length;
    else bytes += 16;
  }
  return bytes;
}
