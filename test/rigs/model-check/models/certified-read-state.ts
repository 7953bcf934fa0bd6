/** The state of certified-read.ts. */

export interface Prediction {
  /** The context from which the prediction claims to be computed. */
  label: number;
  /** The context from which it was really computed. */
  from: number;
  /** Whether it belongs to the layer `generation`. Otherwise it belongs to the overlay. */
  isGeneration: boolean;
  /** The time of its computation if times are compared, otherwise 0. */
  time: number;
  /** Whether it replaces fresh predictions of the same context: a partial run or a reader demanded it. */
  isDemanded: boolean;
}

/** The order of predictions: by label, then by time. */
export type Moment = Pick<Prediction, 'label' | 'time'>;

/** The user's row in the generation. */
export const GENERATION_ROW: Prediction = { label: 0, from: 0, isGeneration: true, time: 0, isDemanded: false };

export const NOTHING_SEEN: Moment = { label: 0, time: 0 };

export interface Redis {
  generation: Prediction | null;
  overlay: Prediction | null;
  /** The highest version that Redis has received. */
  hint: number;
}

export interface Event {
  sentBy: 'http' | 'sql';
  is: 'unsent' | 'open' | 'committed' | 'told' | 'acknowledged';
  /** The context after its commit. */
  context: number;
  time: number;
}

export interface Worker {
  is: 'idle' | 'reading' | 'scored' | 'committed' | 'done';
  prediction: Prediction | null;
}

/** A process that re-scores stale users before a read asks. No read waits for it, and it may lose its queue. */
export interface Rescorer {
  is: 'idle' | 'asked' | 'reading' | 'scored' | 'done';
  /** The version that its entry of the queue names; 0 without an entry. */
  named: number;
  prediction: Prediction | null;
  isInRedis: boolean;
  isInRows: boolean;
}

/** An inference for reads. Each reader may begin one; the flight has the reader's number. */
export interface Flight {
  is: 'none' | 'waiting' | 'reading' | 'left' | 'landed';
  prediction: Prediction | null;
  /** Whether the result is in Redis, or will not be put there. */
  isKept: boolean;
  /** Whether a reader that demands an inference boarded it, so that its result is written to Postgres' rows. */
  isDemanded: boolean;
  isInRows: boolean;
}

export interface Reader {
  is: 'away' | 'asking' | 'following' | 'riding' | 'answered';
  isDemanding: boolean;
  /** The context that was acknowledged before the read arrived. A fresh answer must contain at least this context. */
  due: number;
  /** The label and time of the newest demanded answer or entry of a partial run that was given before the read arrived. */
  seen: Moment;
  /** The version in the certificate, or -1 without a certificate. */
  told: number;
  /** The demanded entry that the certificate tells; null if there is none. */
  demanded: Moment | null;
  hasLooked: boolean;
  hasRows: boolean;
  candidates: Prediction[];
  flight: number;
}

export interface State {
  /** Committed events; the version, which differs from them only in N10; the entry of partial runs; the last change's time. */
  postgres: { context: number; version: number; entry: Prediction | null; changedAt: number };
  events: Event[];
  /** One Redis server; two after a split. */
  redis: Redis[];
  saved: Redis | null;
  workers: Worker[];
  /** The version that the refresh queue names, or 0 if the user is not in it. */
  queued: number;
  rescorers: Rescorer[];
  readers: Reader[];
  flights: Flight[];
  /** The flight that a new reader finds, or -1 for none. */
  boarding: number;
  /** The result of the last flight that landed, while a reader may still take it. */
  landed: Prediction | null;
  /** The row of the generation in the memory of the readers' process. */
  memory: Prediction | null;
  /** The newest demanded answer that was given, or entry of a partial run that was committed. */
  seen: Moment;
  /** For N9: the version that an open statement has read and not delivered yet, or -1. */
  underWay: number;
  faultsLeft: number;
  /** A counter that gives times their order. */
  clock: number;
  broken: string | null;
}

export interface ReadScope {
  readonly events: readonly ('http' | 'sql')[];
  readonly workers: number;
  readonly rescorers?: number;
  /** For each reader, whether it demands an inference. */
  readonly readers: readonly boolean[];
  readonly faults: number;
}

export function newFlight(is: Flight['is']): Flight {
  return { is, prediction: null, isKept: true, isDemanded: false, isInRows: true };
}

export function newReader(isDemanding: boolean): Reader {
  const nothing = { due: 0, seen: NOTHING_SEEN, told: -1, demanded: null };
  return { is: 'away', isDemanding, ...nothing, hasLooked: false, hasRows: false, candidates: [], flight: -1 };
}

export function newRescorer(): Rescorer {
  return { is: 'idle', named: 0, prediction: null, isInRedis: false, isInRows: false };
}

export function isBefore(one: Moment, other: Moment): boolean {
  return one.label === other.label ? one.time < other.time : one.label < other.label;
}
