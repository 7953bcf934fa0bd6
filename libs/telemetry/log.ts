/**
 * The log: one JSON object per line, with an event name and fields in place of a sentence. JSON escapes line breaks and
 * ASCII control characters. This module escapes the other control characters, so that no field can forge a line or
 * control a terminal.
 */
import { type DestinationStream, pino } from 'pino';
import { serialiseError } from './serialise-error.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The name of an event: `noun.verb`, in lower case. There are few names, and variable facts are fields. */
export type EventName = `${string}.${string}`;

/**
 * The fields of an event by name. An Error in any field is written with its causes. Values of fields with secret names
 * are not written.
 */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: EventName, fields?: LogFields): void;
  info(event: EventName, fields?: LogFields): void;
  warn(event: EventName, fields?: LogFields): void;
  error(event: EventName, fields?: LogFields): void;
  /** Returns a log that adds these fields to every line. */
  with(fields: LogFields): Log;
}

interface LogOptions {
  /** Lines below this level are not written. */
  readonly level: LogLevel;
  /** The program's name: `api`, `worker`. */
  readonly name: string;
  /** Whether to write readable lines in place of JSON, for a developer's terminal. */
  readonly pretty?: boolean;
  /**
   * The destination of lines. Default: standard output, synchronously, so that the last line before a crash is written.
   */
  readonly destination?: DestinationStream;
}

export function createLog({ level, name, pretty = false, destination }: LogOptions): Log {
  const stream = destination ?? pino.destination({ dest: 1, sync: true });
  const logger = pino(
    {
      level,
      base: { name, pid: process.pid },
      messageKey: 'event',
      // Errors in all fields are serialised before they reach pino.
      serializers: { err: (value: unknown) => value },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pretty ? prettyStream(stream) : { write: (line) => stream.write(escapeControls(line)) },
  );
  return fromWriter((at, event, fields) => {
    // Copying the fields is most of a line's cost, so it is skipped for lines that are not written.
    if (logger.isLevelEnabled(at)) logger[at](writable(fields), event);
  }, {});
}

/** A log that writes nothing. */
export const silentLog: Log = Object.freeze({
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
});

type Writer = (level: LogLevel, event: EventName, fields: LogFields) => void;

function fromWriter(write: Writer, bound: LogFields): Log {
  return {
    debug: (event, fields) => write('debug', event, { ...bound, ...fields }),
    info: (event, fields) => write('info', event, { ...bound, ...fields }),
    warn: (event, fields) => write('warn', event, { ...bound, ...fields }),
    error: (event, fields) => write('error', event, { ...bound, ...fields }),
    with: (fields) => fromWriter(write, { ...bound, ...fields }),
  };
}

// The names of a line's own parts. A field with such a name would become a duplicate key.
const OWN_NAMES: ReadonlySet<string> = new Set(['level', 'time', 'name', 'pid', 'event']);

function writable(fields: LogFields): Record<string, unknown> {
  const written = Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, value]);
  return withoutSecrets(Object.fromEntries(written), serialiseError) as Record<string, unknown>;
}

/**
 * Escapes DEL, the C1 controls, and Unicode line separators and direction marks. JSON does not, and some terminals and
 * tools interpret them.
 */
function escapeControls(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Returns a stream of readable lines, such as `12:00:00.000 warn run.failed runId="…" error={…}`. Values stay JSON, so
 * they stay escaped.
 */
function prettyStream(stream: DestinationStream): DestinationStream {
  return {
    write(line) {
      const { level, time, name, pid, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const facts = Object.entries(fields).map(([key, value]) => ` ${printable(key)}=${JSON.stringify(value)}`);
      const head = `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${name} ${printable(String(event))}`;
      stream.write(`${escapeControls(head + facts.join(''))}\n`);
    },
  };
}

/** Returns a text with control characters escaped as in JSON, without quotes. */
function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/**
 * The log as libraries use it. A library reports an event, and this module decides the level by the event's name, for
 * all programs.
 */
type LibraryLog = (event: string, fields: Readonly<Record<string, unknown>>) => void;

/** Events that an operator should look into if they persist; every other event is normal operation. */
const WARNINGS: ReadonlySet<string> = new Set([
  'inference.model_not_loaded',
  'inference.process_ended',
  'online_store.buckets_crowded',
  'online_store.circuit_open',
  'online_store.cluster_refused',
  'online_store.database_refused',
  'online_store.is_cluster',
  'online_store.lost',
  'online_store.read_refused',
]);

export function createLibraryLog(log: Log): LibraryLog {
  return (event, fields) => log[WARNINGS.has(event) ? 'warn' : 'info'](event as EventName, fields);
}

// Copies a log record without its secrets: values of secret names, passwords in URLs, credentials in texts. Since
// logging must never throw, it also converts values that JSON does not support (bigint, cycles, bytes, deep nesting).

const SECRET_NAME =
  /^(authorization|proxy-authorization|cookie|set-cookie|password|passwd|pgpassword|secret|token|pepper|api-?key|x-api-key|private-?key)$/i;
const MASK = '***';
const MAX_DEPTH = 8;
const MAX_TEXT = 8192;
const MAX_ITEMS = 200;

/**
 * Returns a copy of a value without secrets.
 * @param ofError converts an Error
 */
function withoutSecrets(value: unknown, ofError: (error: Error) => object): unknown {
  const open = new Set<object>();

  function copy(one: unknown, depth: number): unknown {
    if (typeof one === 'string') return maskText(one);
    if (typeof one === 'bigint') return one.toString();
    if (typeof one === 'function' || typeof one === 'symbol') return `(${typeof one})`;
    if (typeof one === 'number' && !Number.isFinite(one)) return String(one);
    if (typeof one !== 'object' || one === null) return one;
    if (one instanceof Date) return Number.isNaN(one.getTime()) ? 'Invalid Date' : one.toISOString();
    if (ArrayBuffer.isView(one)) return `(${one.byteLength} bytes)`;
    if (one instanceof URL) return maskText(one.href);
    if (open.has(one)) return '(cycle)';
    if (depth > MAX_DEPTH) return '(deeper)';
    open.add(one);
    try {
      return copyObject(one instanceof Error ? ofError(one) : one, depth);
    } finally {
      open.delete(one);
    }
  }

  function copyObject(one: object, depth: number): unknown {
    if (one instanceof Map) return copyObject(Object.fromEntries(one), depth);
    if (one instanceof Set) return copyObject([...one], depth);
    if (Array.isArray(one)) {
      const kept: unknown[] = one.slice(0, MAX_ITEMS).map((item) => copy(item, depth + 1));
      return one.length > MAX_ITEMS ? [...kept, `(${one.length - MAX_ITEMS} more)`] : kept;
    }
    const entries = Object.entries(one).slice(0, MAX_ITEMS);
    return Object.fromEntries(
      entries.map(([name, item]) => [name, SECRET_NAME.test(name) && item != null ? MASK : copy(item, depth + 1)]),
    );
  }

  return copy(value, 0);
}

/** Masks passwords in URLs and connection strings, and HTTP credentials. Cuts long texts. */
function maskText(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  return short
    .replace(/(:\/\/[^/?#@:\s"']*):[^\s"']*@/g, `$1:${MASK}@`)
    .replace(/\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{4,}/gi, `$1 ${MASK}`)
    .replace(/\b(tandem_(?:live|test)_[0-9a-f]{16})_[0-9a-z_]+/gi, `$1_${MASK}`)
    .replace(/\b((?:pg)?password|secret|api_?key|access_token)(\s*[=:]\s*)[^\s&;,"']+/gi, `$1$2${MASK}`);
}
