/** What certified-read.ts knows of the world. */

export interface Prediction {
  /** What it says of itself. */
  label: number;
  /** The context that it was computed from. */
  from: number;
  /** Of the layer `generation`; of the overlay else. */
  isGeneration: boolean;
  /** When it was made, where times are compared; 0 else. */
  time: number;
}

export interface Redis {
  generation: Prediction | null;
  overlay: Prediction | null;
  /** The highest version that it was told of. */
  hint: number;
}

export interface Event {
  sentBy: 'http' | 'sql';
  is: 'unsent' | 'open' | 'committed' | 'told' | 'acknowledged';
  /** The context that its commit made. */
  context: number;
  time: number;
}

export interface Worker {
  is: 'idle' | 'reading' | 'scored' | 'committed' | 'done';
  prediction: Prediction | null;
}

/** Re-scores users whom events made stale, before a read asks; nobody waits for it, and it may lose whatever it knows. */
export interface Rescorer {
  is: 'idle' | 'asked' | 'reading' | 'scored' | 'done';
  /** The version that its entry of the queue names; 0: it has none. */
  named: number;
  prediction: Prediction | null;
  isInRedis: boolean;
  isInRows: boolean;
}

/** An inference for reads. Each reader may begin one, which has the reader's number. */
export interface Flight {
  is: 'none' | 'waiting' | 'reading' | 'left' | 'landed';
  prediction: Prediction | null;
  /** Whether Redis has been told, or will not be. */
  isKept: boolean;
}

export interface Reader {
  is: 'away' | 'asking' | 'following' | 'riding' | 'answered';
  isDemanding: boolean;
  /** What was acknowledged before it arrived: an answer called fresh holds at least that. */
  due: number;
  /** The version that its certificate says; -1 before there is one. */
  told: number;
  hasLooked: boolean;
  hasRows: boolean;
  candidates: Prediction[];
  flight: number;
}

export interface State {
  /** Committed events; the version, which differs from that in N10 alone; the entry of partial runs; the last change's time. */
  postgres: { context: number; version: number; entry: Prediction | null; changedAt: number };
  events: Event[];
  /** One server; two after a split. */
  redis: Redis[];
  saved: Redis | null;
  workers: Worker[];
  /** The version that the refresh queue names; 0: the user is not in it. */
  queued: number;
  rescorers: Rescorer[];
  readers: Reader[];
  flights: Flight[];
  /** The flight that a new reader finds; -1: none. */
  boarding: number;
  /** The result of the flight that landed last, as long as somebody may still take it. */
  landed: Prediction | null;
  /** What the process of the readers holds of the generation. */
  memory: Prediction | null;
  /** Of N9: a version as a statement has read it and not delivered yet; -1: none is under way. */
  underWay: number;
  faultsLeft: number;
  /** Times are places in this order. */
  clock: number;
  broken: string | null;
}

export interface ReadScope {
  readonly events: readonly ('http' | 'sql')[];
  readonly workers: number;
  readonly rescorers?: number;
  /** For each, whether it demands an inference. */
  readonly readers: readonly boolean[];
  readonly faults: number;
}

export function newReader(isDemanding: boolean): Reader {
  const nothing = { due: 0, told: -1, hasLooked: false, hasRows: false, candidates: [], flight: -1 };
  return { is: 'away', isDemanding, ...nothing };
}

export function newRescorer(): Rescorer {
  return { is: 'idle', named: 0, prediction: null, isInRedis: false, isInRows: false };
}
