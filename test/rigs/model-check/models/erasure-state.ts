/** What erasure.ts knows of the world, and the rules that may be broken in it. */

export interface ErasureRules {
  /** Whether a user who is erased keeps a context row with a tombstone, or (Q3) starts again at 0 one day. */
  readonly tombstone: 'kept' | 'dropped';
  /**
   * What a read that Postgres does not answer goes by:
   * - `server`: the Redis that it last saw beside a Postgres that answered, by its run id.
   * - `server and count`: that server, and its count of erasures, which must be the one that Postgres last said; and the
   *   tombstones that the process has heard of, which are all up to that count.
   */
  readonly unverified: 'off' | 'server' | 'server and count';
  /**
   * What an erasure that is told does to Redis' count:
   * - `raises`: raises one that is there to its own number, and takes down whatever was announced.
   * - `raises, announcements stay`: the same, but it does not look at what was announced.
   * - `sets`: sets its number also where there is none.
   */
  readonly tells: 'raises' | 'raises, announcements stay' | 'sets';
  /** Whether a count that Redis lost is set again only where Redis has not lost anything since it was asked for. */
  readonly restores: 'guarded' | 'plainly';
  /** When a read looks which server Redis is: before it asks for its certificate, or once that has come. */
  readonly seesServer: 'before' | 'after';
}

export interface ErasureScope {
  /** What a worker does: a chunk of a new generation, or a chunk of a partial run. */
  readonly workers: readonly ('all' | 'users')[];
  readonly readers: number;
  readonly erasures: number;
  /** Whether somebody else was erased before, which the process has heard of and Redis is still to be told. */
  readonly isOtherErased: boolean;
  readonly outages: number;
  readonly faults: number;
  /** Whether Redis never starts again, so that nobody has to look which it is; what it has it may lose all the same. */
  readonly runsOn: boolean;
  /** Whether Redis was saved at the beginning, and is not again before that copy is used. */
  readonly isSaved: boolean;
  /** Whether reads infer live. */
  readonly isLive: boolean;
  /** Whether whole generations are loaded from their rows. */
  readonly isLoading: boolean;
}

/** The versions of a user that Postgres says. */
export interface User {
  version: number;
  deleted: number;
}

/** A prediction: its label, and how many erasures had been committed when its features were read, which nobody looks at. */
export interface Prediction {
  readonly label: number;
  readonly era: number;
}

export interface Redis {
  /** Which start of which server this is. */
  run: number;
  generations: (Prediction | null)[];
  overlay: Prediction | null;
  hint: number;
  /** How many erasures it was told of; null: it lost that. */
  erasures: number | null;
  /** Who sets the count again has announced it here. */
  isRestoring: boolean;
}

export interface ErasureWorker {
  kind: 'all' | 'users';
  is: 'idle' | 'scored' | 'checked' | 'committed' | 'done';
  prediction: Prediction | null;
}

export interface Eraser {
  is: 'idle' | 'committed' | 'cleared' | 'told' | 'deleted';
  /** Of the erasure: how many there were with it. */
  number: number;
}

/** What a later read may count on: whether the user is erased, and that nothing from before so many erasures is served. */
export interface Acknowledged {
  isErased: boolean;
  eras: number;
}

export interface ErasureReader {
  is: 'away' | 'asking' | 'answered';
  due: Acknowledged;
  /** Which Redis it saw when it came. */
  server: number;
  told: (User & { inForce: number }) | 'no answer' | null;
  /** What it found in Redis, before or after its certificate. */
  found: Pick<Redis, 'generations' | 'overlay'> | null;
}

/** What a process learns from a certificate. */
export interface Heard {
  inForce: number;
  erasures: number;
  /** Of this user. */
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
  /** The number of somebody else's erasure, until Redis is told of it; nothing but the count is shared. */
  otherErasure: number | null;
  workers: ErasureWorker[];
  /** Of the loader of whole generations: what it has read. */
  loader: { generation: number; prediction: Prediction } | null;
  /** Of whoever sets the count of erasures again: what he has read. */
  restorer: { is: 'announced' } | { is: 'read'; erasures: number } | null;
  /** A live result that Redis has not been given yet. */
  flight: Prediction | null;
  /** The result of the flight that landed last, which whoever comes may still take. */
  landed: Prediction | null;
  readers: ErasureReader[];
  /** Another read of their process: which Redis it saw, and what it heard. */
  other: { server: number; heard: Heard | null } | null;
  /** What the readers' process learnt from certificates. */
  known: Heard & { server: number };
  outagesLeft: number;
  faultsLeft: number;
  broken: string | null;
}
