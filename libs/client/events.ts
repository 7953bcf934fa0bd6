/**
 * Sends events. Each event gets an id before the first attempt and keeps it, so a retry after a lost answer is safe.
 */
import { postRetried, requireFinite, type SendOptions, type SendParts } from '@tandem/transport/send-entries';
import type { EventInput, EventResult } from './wire.ts';

/**
 * Sends events, of which all or none are applied. Returns a result for each, in order. Rejects with a RangeError for
 * NaN and Infinity.
 */
export async function sendEvents(
  parts: SendParts,
  events: readonly EventInput[],
  options?: SendOptions,
): Promise<readonly EventResult[]> {
  const { source, newId } = parts;
  for (const [i, { data }] of events.entries())
    for (const [name, value] of Object.entries(data ?? {})) requireFinite(value, `events[${i}].data.${name}`);
  const body = events.map((event) => ({ specversion: '1.0', id: newId(), source, ...event }));
  return postRetried(parts, { path: '/v1/events', body, contentType: 'application/cloudevents-batch+json' }, options);
}
