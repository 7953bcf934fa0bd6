/**
 * The log: one JSON object a line, an event name in place of a sentence, facts in fields. JSON escapes line breaks and
 * the ASCII control characters, so no field can forge a line or steer a terminal; the rest of that is done here.
 */
import { type DestinationStream, pino } from 'pino';
import { serialiseError } from './serialise-error.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The name of an event: `noun.verb`, in lower case. Names have few values: facts that vary are fields. */
export type EventName = `${string}.${string}`;

/** Facts by name. An Error, as any field, is written with its causes; values of secret names are not written. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: EventName, fields?: LogFields): void;
  info(event: EventName, fields?: LogFields): void;
  warn(event: EventName, fields?: LogFields): void;
  error(event: EventName, fields?: LogFields): void;
  /** A log whose every line has these fields too. */
  with(fields: LogFields): Log;
}

interface LogOptions {
  /** Lines below it are not written. */
  readonly level: LogLevel;
  /** The program's name: `api`, `worker`. */
  readonly name: string;
  /** One readable line in place of JSON, for a developer's terminal. */
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
      // Errors are serialised before pino sees them, whatever field they stand in.
      serializers: { err: (value: unknown) => value },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pretty ? prettyStream(stream) : escapingStream(stream),
  );
  return fromWriter((at, event, fields) => {
    // Copying the fields is most of a line's cost; a line that is not written must cost nothing.
    if (logger.isLevelEnabled(at)) logger[at](writable(fields), event);
  }, {});
}

/** Writes nothing. */
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

// The names of a line's own parts; a field of such a name would make a second key of it.
const OWN_NAMES: ReadonlySet<string> = new Set(['level', 'time', 'name', 'pid', 'event']);

function writable(fields: LogFields): Record<string, unknown> {
  const written = Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, value]);
  return withoutSecrets(Object.fromEntries(written), serialiseError) as Record<string, unknown>;
}

/** JSON leaves DEL, the C1 controls and the Unicode line separators as they are; some terminals and tools obey them. */
function escapeControls(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function escapingStream(stream: DestinationStream): DestinationStream {
  return { write: (line) => stream.write(escapeControls(line)) };
}

/** `12:00:00.000 warn run.failed runId="…" error={…}`: values stay JSON, so that they stay escaped. */
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

/** A name without quotes around it, its control characters escaped as JSON does. */
function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/**
 * The log as the libraries take it, which tell what happened and leave to the programs how bad it is. That is decided
 * here, by the event's name, once for all programs.
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

// Copies a log record without its secrets: values of secret names, passwords in URLs, credentials in texts. It also
// makes any value fit for JSON (bigint, cycles, bytes, depth), since logging must never throw.

const SECRET_NAME =
  /^(authorization|proxy-authorization|cookie|set-cookie|password|passwd|pgpassword|secret|token|pepper|api-?key|x-api-key|private-?key)$/i;
const MASK = '***';
const MAX_DEPTH = 8;
const MAX_TEXT = 8192;
const MAX_ITEMS = 200;

/** @param ofError how an Error is written */
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

/** Passwords in URLs and connection strings, and credentials of HTTP, masked; overlong texts cut. */
function maskText(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  return short
    .replace(/(:\/\/[^/?#@:\s"']*):[^\s"']*@/g, `$1:${MASK}@`)
    .replace(/\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{4,}/gi, `$1 ${MASK}`)
    .replace(/\b(tandem_(?:live|test)_[0-9a-f]{16})_[0-9a-z_]+/gi, `$1_${MASK}`)
    .replace(/\b((?:pg)?password|secret|api_?key|access_token)(\s*[=:]\s*)[^\s&;,"']+/gi, `$1$2${MASK}`);
}
