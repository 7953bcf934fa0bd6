/**
 * The log: one JSON object a line, an event name in place of a sentence, facts in fields. JSON escapes line breaks and
 * the ASCII control characters, so no field can forge a line or steer a terminal; the rest of that is done here.
 */
import { type DestinationStream, pino } from 'pino';
import { serialiseError } from './serialise-error.ts';
import { withoutSecrets } from './without-secrets.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What happened: `noun.verb`, in lower case. Of few different values: facts that vary are fields. */
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

export interface LogOptions {
  /** Lines below it are not written. */
  readonly level: LogLevel;
  /** Which program speaks: `api`, `worker`. */
  readonly name: string;
  /** One readable line in place of JSON, for a developer's terminal. */
  readonly pretty?: boolean;
  /** Where lines go; standard output by default, synchronously, so that the last line before a crash is there. */
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
