/** The rules of certified-read.ts. Each has the variants of usual designs that break it: the negative controls. */

export interface ReadRules {
  /** The source of the user's version for a read. */
  readonly certificate: /** From a statement that began after the read arrived. */
    | 'own statement'
    /** N9: from a statement that may have begun before the read arrived. */
    | 'statement under way'
    /** N5: from Redis. */
    | 'redis'
    /** N1 to N3: no version; the read compares the times of the prediction and of the last change. */
    | 'times'
    /** N4: no version; every stored prediction counts as fresh. */
    | 'none';
  /** When a computation reads the label of its features. */
  readonly label: 'same statement' | 'context first' | 'version first';
  /** The part that raises the version for an event inserted in SQL: the trigger, or (N10) a later poller. */
  readonly sqlEvent: 'trigger' | 'poller';
  /** Whether the row of the user's version stays, or (N13) housekeeping may delete it, so that the version starts again. */
  readonly contextRow: 'stays' | 'may be deleted';
  /** Whether an acknowledgement waits until Redis has the version. */
  readonly acknowledges: 'after commit' | 'after telling Redis';
  /** N7: the message to Redis may fail, and the event is still acknowledged. */
  readonly tellingMayFail: boolean;
  /** How predictions are written to Redis: by compare-and-set, or (N4) by a plain SET. */
  readonly put: 'compare and set' | 'set';
  /** When the times of predictions and changes are taken, and by which clock; null if times are not compared. */
  readonly times: null | 'at completion' | 'at read, event at begin' | 'at read, worker ahead';
  /** Which results a reader takes from a flight that left before it arrived: with a label of at least its version, or any. */
  readonly follows: 'by label' | 'whatever it is';
  /** The label of a re-scoring: the version read with its features, or (F1) the version that the queue names at its end. */
  readonly rescoredLabel: 'of its features' | 'of the queue';
  /** Whether the process's memory and Postgres' rows are candidates too. */
  readonly hasMemoryAndRows: boolean;
  /** Whether a label above the computed context is itself a violation, or only a wrong answer caused by it. */
  readonly watchesLabels: boolean;
  /** Whether predictions have times, and an answer older than an earlier answer is a violation (I13). */
  readonly watchesOrder: boolean;
  /** Which of several fresh candidates answers: the highest label, then the latest time, or (O1) the generation's row. */
  readonly answers: 'the newest' | 'the generation';
  /** Whether memory answers although the certificate names a demanded answer that is newer (O2). */
  readonly memory: 'gives way to demanded answers' | 'answers alone';
  /** When a demanded answer is in Postgres' rows: before its reader is answered, or (O3) some time later. */
  readonly keepsDemanded: 'before the answer' | 'after the answer';
}

export const PROTOCOL: ReadRules = {
  certificate: 'own statement',
  label: 'same statement',
  sqlEvent: 'trigger',
  contextRow: 'stays',
  acknowledges: 'after commit',
  tellingMayFail: true,
  put: 'compare and set',
  times: null,
  follows: 'by label',
  rescoredLabel: 'of its features',
  hasMemoryAndRows: true,
  watchesLabels: true,
  watchesOrder: false,
  answers: 'the newest',
  memory: 'gives way to demanded answers',
  keepsDemanded: 'before the answer',
};

/** The protocol, and the order of answers in time. */
export const ORDERED: ReadRules = { ...PROTOCOL, watchesOrder: true };

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
  N13: { ...PROTOCOL, contextRow: 'may be deleted', watchesLabels: false },
  M10: { ...PROTOCOL, follows: 'whatever it is' },
  O1: { ...ORDERED, answers: 'the generation' },
  O2: { ...ORDERED, memory: 'answers alone' },
  O3: { ...ORDERED, keepsDemanded: 'after the answer' },
  F1: { ...PROTOCOL, rescoredLabel: 'of the queue', watchesLabels: false },
} satisfies Record<string, ReadRules>;
