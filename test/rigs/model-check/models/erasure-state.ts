/** The state of erasure.ts, and the rules that a control may break. */

export interface ErasureRules {
  /** Whether an erased user keeps a context row with a tombstone, or (Q3) later starts again at 0. */
  readonly tombstone: 'kept' | 'dropped';
  /**
   * The conditions for an answer while Postgres does not answer:
   * - `server`: Redis has the run id that the process saw at its last certificate.
   * - `server and count`: also, Redis' count of erasures equals the count of that certificate, and the process knows all
   *   tombstones up to that count.
   */
  readonly unverified: 'off' | 'server' | 'server and count';
  /**
   * The effect of an erasure on Redis' count:
   * - `raises`: raises an existing count to its own number, and removes an announcement.
   * - `raises, announcements stay`: raises an existing count, but does not remove an announcement.
   * - `sets`: sets the count to its number, also if Redis has no count.
   */
  readonly tells: 'raises' | 'raises, announcements stay' | 'sets';
  /** Whether a lost count is restored only if Redis has lost no data since the announcement. */
  readonly restores: 'guarded' | 'plainly';
  /** When a read notes the Redis server: before it requests its certificate, or after the certificate has arrived. */
  readonly seesServer: 'before' | 'after';
}

export interface ErasureScope {
  /** The work of each worker: a chunk of a new generation, or a chunk of a partial run. */
  readonly workers: readonly ('all' | 'users')[];
  readonly readers: number;
  readonly erasures: number;
  /** Whether another user was erased before: the process knows it, and Redis has not received it yet. */
  readonly isOtherErased: boolean;
  readonly outages: number;
  readonly faults: number;
  /** Whether Redis never restarts, so that its run id never changes; it may still lose its data. */
  readonly runsOn: boolean;
  /** Whether Redis was saved at the beginning; it is not saved again before that copy is used. */
  readonly isSaved: boolean;
  /** Whether reads infer live. */
  readonly isLive: boolean;
  /** Whether whole generations are loaded from their rows. */
  readonly isLoading: boolean;
}

/** The versions of a user in Postgres. */
export interface User {
  version: number;
  deleted: number;
}

/** A prediction: its label, and the number of erasures committed before its features were read. No process reads `era`. */
export interface Prediction {
  readonly label: number;
  readonly era: number;
}

export interface Redis {
  /** The run id: it identifies one start of one server. */
  run: number;
  generations: (Prediction | null)[];
  overlay: Prediction | null;
  hint: number;
  /** The count of erasures that Redis has received; null if it lost the count. */
  erasures: number | null;
  /** Whether a restore of the count is announced. */
  isRestoring: boolean;
}

export interface ErasureWorker {
  kind: 'all' | 'users';
  is: 'idle' | 'scored' | 'checked' | 'committed' | 'done';
  prediction: Prediction | null;
}

export interface Eraser {
  is: 'idle' | 'committed' | 'cleared' | 'told' | 'deleted';
  /** The number of the erasure: the count of erasures including it. */
  number: number;
}

/**
 * The promise to a later read: whether the user is erased, and the number of erasures whose older predictions are not
 * served.
 */
export interface Acknowledged {
  isErased: boolean;
  eras: number;
}

export interface ErasureReader {
  is: 'away' | 'asking' | 'answered';
  due: Acknowledged;
  /** The run id of Redis when the reader arrived. */
  server: number;
  told: (User & { inForce: number }) | 'no answer' | null;
  /** The data found in Redis, before or after the certificate. */
  found: Pick<Redis, 'generations' | 'overlay'> | null;
}

/** The knowledge that a process gets from a certificate. */
export interface Heard {
  inForce: number;
  erasures: number;
  /** The deleted version of this user. */
  deleted: number;
}

export interface ErasureState {
  postgres: User & {
    isDown: boolean;
    rows: (Prediction | null)[];
    entry: Prediction | null;
    inForce: number;
    erasures: number;
  };
  acknowledged: Acknowledged;
  redis: Redis;
  saved: Redis | null;
  runsMade: number;
  eraser: Eraser;
  erasuresLeft: number;
  /** The number of another user's erasure, until Redis receives it; the two users share only the count. */
  otherErasure: number | null;
  workers: ErasureWorker[];
  /** The row that the loader of whole generations has read. */
  loader: { generation: number; prediction: Prediction } | null;
  /** The state of the process that restores the count of erasures, with the count that it has read. */
  restorer: { is: 'announced' } | { is: 'read'; erasures: number } | null;
  /** A live result that is not in Redis yet. */
  flight: Prediction | null;
  /** The result of the flight that landed last, which a new reader may still take. */
  landed: Prediction | null;
  readers: ErasureReader[];
  /** Another read of the readers' process: the run id of Redis that it saw, and its certificate. */
  other: { server: number; heard: Heard | null } | null;
  /** The knowledge of the readers' process from certificates. */
  known: Heard & { server: number };
  outagesLeft: number;
  faultsLeft: number;
  broken: string | null;
}
