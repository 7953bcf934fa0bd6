/** The rules of certified-read.ts, each with the ways in which usual designs break it: the negative controls. */

export interface ReadRules {
  /** Where a read learns the user's version. */
  readonly certificate: /** From a statement that began after the read arrived. */
    | 'own statement'
    /** N9: from one that may have been under way when it arrived. */
    | 'statement under way'
    /** N5: from Redis. */
    | 'redis'
    /** N1 to N3: nowhere; it compares the time of the prediction with that of the last change. */
    | 'times'
    /** N4: nowhere; what is there counts. */
    | 'none';
  /** How a computation learns the label of the features that it reads. */
  readonly label: 'same statement' | 'context first' | 'version first';
  /** What raises the version of an event written in SQL: the trigger, or (N10) a poller that comes by later. */
  readonly sqlEvent: 'trigger' | 'poller';
  /** Whether an acknowledgement waits for Redis to be told. */
  readonly acknowledges: 'after commit' | 'after telling Redis';
  /** N7: telling Redis may fail, and the event is acknowledged all the same. */
  readonly tellingMayFail: boolean;
  /** What is written to Redis: by compare-and-set, or (N4) plainly. */
  readonly put: 'compare and set' | 'set';
  /** When a prediction's and a change's time is taken, by whose clock. */
  readonly times: null | 'at completion' | 'at read, event at begin' | 'at read, worker ahead';
  /** What a reader takes of a flight that had left when it came: a result whose label is at least its own version, or any. */
  readonly follows: 'by label' | 'whatever it is';
  /** What a re-scoring is labelled with: what its features were read with, or (F1) what the queue names by then. */
  readonly rescoredLabel: 'of its features' | 'of the queue';
  /** Whether a read also has the process's memory and Postgres' rows for candidates. */
  readonly hasMemoryAndRows: boolean;
  /** Whether a label above what was read is reported, or only the answer that it leads to. */
  readonly watchesLabels: boolean;
}

export const PROTOCOL: ReadRules = {
  certificate: 'own statement',
  label: 'same statement',
  sqlEvent: 'trigger',
  acknowledges: 'after commit',
  tellingMayFail: true,
  put: 'compare and set',
  times: null,
  follows: 'by label',
  rescoredLabel: 'of its features',
  hasMemoryAndRows: true,
  watchesLabels: true,
};

const USUAL: ReadRules = { ...PROTOCOL, hasMemoryAndRows: false, watchesLabels: false };
const BY_TIMES: ReadRules = { ...USUAL, certificate: 'times', put: 'set' };
const VERSION_IN_REDIS: ReadRules = {
  ...USUAL,
  certificate: 'redis',
  label: 'version first',
  acknowledges: 'after telling Redis',
  tellingMayFail: false,
};

export const BROKEN = {
  N1: { ...BY_TIMES, times: 'at completion' },
  N2: { ...BY_TIMES, times: 'at read, event at begin' },
  N3: { ...BY_TIMES, times: 'at read, worker ahead' },
  N4: { ...USUAL, certificate: 'none', put: 'set', acknowledges: 'after telling Redis', tellingMayFail: false },
  N5: VERSION_IN_REDIS,
  N7: { ...VERSION_IN_REDIS, tellingMayFail: true },
  N8: { ...PROTOCOL, label: 'context first', watchesLabels: false },
  N9: { ...PROTOCOL, certificate: 'statement under way' },
  N10: { ...PROTOCOL, sqlEvent: 'poller', watchesLabels: false },
  M10: { ...PROTOCOL, follows: 'whatever it is' },
  F1: { ...PROTOCOL, rescoredLabel: 'of the queue', watchesLabels: false },
} satisfies Record<string, ReadRules>;
