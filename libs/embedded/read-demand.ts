/** The demands of a caller on an embedded read, in the terms of HTTP's Cache-Control, and as options of the reader. */
import { TandemError } from '@tandem/freshness/errors';
import { PLAIN_READ, type ReadOptions } from '@tandem/freshness/read-options';
import { parseContextToken } from '@tandem/prediction/events/events';

/** Demands on a read; each may be left out. Ages in seconds. */
export interface ReadDemand {
  /** Infers now, whatever is stored. */
  readonly noCache?: boolean;
  /** Never infers; the error is `not_cached` where that would be needed. */
  readonly onlyIfCached?: boolean;
  /** Accepts no older stored prediction. */
  readonly maxAge?: number;
  /** Accepts a stored prediction that stopped being fresh up to so long ago; `Infinity`: any. */
  readonly maxStale?: number;
  /** The `contextToken` of an event's acknowledgement: accepts only a prediction computed from that context or a newer one. */
  readonly minContext?: string;
}

const NAMES: ReadonlySet<string> = new Set<keyof ReadDemand>([
  ...(['noCache', 'onlyIfCached', 'maxAge', 'maxStale', 'minContext'] as const),
]);

/** Returns the demands as options of the reader. Throws `invalid_input`, naming the option. */
export function readOptionsOf(demand: ReadDemand | undefined): ReadOptions {
  if (demand === undefined) return PLAIN_READ;
  const unknown = Object.keys(demand).find((name) => !NAMES.has(name));
  if (unknown !== undefined) throw invalid(unknown, 'is not an option of a read', `use ${[...NAMES].join(', ')}`);
  const { minContext } = demand;
  const options = {
    noCache: flag('noCache', demand.noCache),
    onlyIfCached: flag('onlyIfCached', demand.onlyIfCached),
    maxAge: seconds('maxAge', demand.maxAge, false),
    maxStale: seconds('maxStale', demand.maxStale, true),
    minContext: minContext === undefined ? null : tokenOf(minContext),
  };
  if (options.noCache && options.onlyIfCached) {
    throw invalid('noCache', 'contradicts onlyIfCached', 'leave out one of the two');
  }
  return options;
}

function flag(name: string, value: unknown = false): boolean {
  if (typeof value === 'boolean') return value;
  throw invalid(name, 'is neither true nor false', 'give a boolean');
}

function seconds(name: string, value: unknown, isUnbounded: boolean): number | null {
  if (value === undefined) return null;
  if (typeof value === 'number' && value >= 0 && (isUnbounded || Number.isFinite(value))) return value;
  throw invalid(name, 'is not a number of seconds', 'give a number that is 0 or more');
}

function tokenOf(token: unknown) {
  const parsed = typeof token === 'string' ? parseContextToken(token) : null;
  if (parsed) return parsed;
  throw invalid('minContext', 'is not a context token', "give the contextToken of an event's acknowledgement");
}

function invalid(field: string, what: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `${field} ${what}.`, { field, remedy });
}
