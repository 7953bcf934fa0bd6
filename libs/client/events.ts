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

/** All are applied, or none; a result for each, in order. */
export function sendEvents(
  parts: EventParts,
  events: readonly EventInput[],
  options?: SendOptions,
): Promise<readonly EventResult[]> {
  const { source, newId } = parts;
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
