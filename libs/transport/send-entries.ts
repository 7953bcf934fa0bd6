/** Sends lists of entries that are safe to send again, such as events: each entry has an id before the first attempt. */
import type { RepeatedCallOptions, Transport } from './transport.ts';

export type SendOptions = RepeatedCallOptions;

export interface SendParts {
  readonly transport: Transport;
  /** The default of `retryForMs`. */
  readonly retryForMs: number;
  /** The `source` of entries without one. */
  readonly source: string;
  readonly newId: () => string;
}

/** Sends a body in which each entry has an id, and retries until there is an answer. Returns its results. */
export async function postRetried<T>(
  { transport, ...parts }: SendParts,
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
