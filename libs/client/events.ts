/** Sending events so that a lost answer does no harm: each has its id before the first attempt, and keeps it. */
import type { CallOptions } from './predictions.ts';
import { type RetryOptions, retry } from './retry.ts';
import type { Transport } from './transport.ts';
import type { EventInput, EventResult } from './wire.ts';

export interface SendOptions extends CallOptions {
  /** Milliseconds during which a failed attempt is followed by another with the same ids; 0: one attempt. */
  readonly retryForMs?: number;
}

export interface EventParts {
  readonly transport: Transport;
  readonly retry: RetryOptions;
  /** The `source` of events that name none. */
  readonly source: string;
  readonly newId: () => string;
}

/** Sends events: all are applied, or none; a result for each, in order. Rejects with a RangeError for NaN and Infinity. */
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

/** Sends a body in which everything has its id, until there is an answer; the results in it. */
export function postRetried<T>(
  { transport, retry: patience }: EventParts,
  request: { readonly path: string; readonly body: unknown; readonly contentType?: string },
  { retryForMs, timeoutMs, signal }: SendOptions = {},
): Promise<readonly T[]> {
  const options = retryForMs === undefined ? patience : { ...patience, retryForMs };
  return retry(options, signal, async () => {
    const reply = await transport.call<{ results: readonly T[] }>({ method: 'POST', ...request, timeoutMs, signal });
    return reply.body?.results ?? [];
  });
}

/** JSON has no NaN and no Infinity: JSON.stringify writes null, which means something else. Throws a RangeError. */
export function requireFinite(value: unknown, place: string): void {
  if (typeof value !== 'number' || Number.isFinite(value)) return;
  throw new RangeError(`${place} is ${value}: send a finite number, or leave it out`);
}
