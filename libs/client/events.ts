/**
 * Sends events. Each event gets an id before the first attempt and keeps it, so a retry after a lost answer is safe.
 */
import type { RepeatedCallOptions } from './predictions.ts';
import type { Transport } from './transport.ts';
import type { EventInput, EventResult } from './wire.ts';

export type SendOptions = RepeatedCallOptions;

export interface EventParts {
  readonly transport: Transport;
  /** The default of `retryForMs`. */
  readonly retryForMs: number;
  /** The `source` of events without one. */
  readonly source: string;
  readonly newId: () => string;
}

/**
 * Sends events, of which all or none are applied. Returns a result for each, in order. Rejects with a RangeError for
 * NaN and Infinity.
 */
export async function sendEvents(
  parts: EventParts,
  events: readonly EventInput[],
  options?: SendOptions,
): Promise<readonly EventResult[]> {
  const { source, newId } = parts;
  for (const [i, { data }] of events.entries())
    for (const [name, value] of Object.entries(data ?? {})) requireFinite(value, `events[${i}].data.${name}`);
  const body = events.map((event) => ({ specversion: '1.0', id: newId(), source, ...event }));
  return postRetried(parts, { path: '/v1/events', body, contentType: 'application/cloudevents-batch+json' }, options);
}

/** Sends a body in which each entry has an id, and retries until there is an answer. Returns its results. */
export async function postRetried<T>(
  { transport, ...parts }: EventParts,
  request: { readonly path: string; readonly body: unknown; readonly contentType?: string },
  { retryForMs = parts.retryForMs, timeoutMs, signal }: SendOptions = {},
): Promise<readonly T[]> {
  const call = { method: 'POST', isRepeatable: true, ...request, retryForMs, timeoutMs, signal } as const;
  return (await transport.call<{ results: readonly T[] }>(call)).body?.results ?? [];
}

/** Throws a RangeError for NaN and Infinity. JSON.stringify would write them as null, which has another meaning. */
export function requireFinite(value: unknown, place: string): void {
  if (typeof value !== 'number' || Number.isFinite(value)) return;
  throw new RangeError(`${place} is ${value}: send a finite number, or leave it out`);
}
