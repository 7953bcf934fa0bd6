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
export async function sendEvents(
  { transport, retry: patience, source, newId }: EventParts,
  events: readonly EventInput[],
  { retryForMs, timeoutMs, signal }: SendOptions = {},
): Promise<readonly EventResult[]> {
  const body = events.map((event) => ({ specversion: '1.0', id: newId(), source, ...event }));
  const contentType = 'application/cloudevents-batch+json';
  const options = retryForMs === undefined ? patience : { ...patience, retryForMs };
  return retry(options, signal, async () => {
    const call = { method: 'POST', path: '/v1/events', body, contentType, timeoutMs, signal } as const;
    const reply = await transport.call<{ results: readonly EventResult[] }>(call);
    return reply.body?.results ?? [];
  });
}
