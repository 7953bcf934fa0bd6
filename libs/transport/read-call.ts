/** The demands of a read on freshness, which are those of HTTP's Cache-Control. */
import type { RepeatedCallOptions } from './transport.ts';

/** The demands of a read on its answers. */
export interface PredictManyOptions extends RepeatedCallOptions {
  /** Infers now, even if a fresh prediction is stored. */
  readonly noCache?: boolean;
  /** Accepts only a stored answer. Fails with a 504 problem if the model would be needed. */
  readonly onlyIfCached?: boolean;
  /** Seconds: rejects an answer that is older. */
  readonly maxAge?: number;
  /** Seconds: also accepts an answer that has been stale for at most this time; `true` accepts any stale answer. */
  readonly maxStale?: number | true;
}

export interface PredictOptions extends PredictManyOptions {
  /** The `contextToken` of an event. Accepts only a prediction computed from that context or a newer one. */
  readonly minContext?: string;
  /** The `etag` of an answer that the caller has kept. */
  readonly ifNoneMatch?: string;
}

/** Returns the headers and the limits of a read, which is safe to repeat. */
export function callOf({ timeoutMs, retryForMs, signal, ...demands }: PredictOptions) {
  return { isRepeatable: true, headers: readHeaders(demands), timeoutMs, retryForMs, signal };
}

/** Returns the request headers that carry a caller's demands. */
export function readHeaders(options: PredictOptions): Record<string, string> {
  const { noCache, onlyIfCached, maxAge, maxStale, minContext, ifNoneMatch } = options;
  const directives = [
    noCache ? 'no-cache' : '',
    onlyIfCached ? 'only-if-cached' : '',
    maxAge === undefined ? '' : `max-age=${maxAge}`,
    maxStale === undefined ? '' : maxStale === true ? 'max-stale' : `max-stale=${maxStale}`,
  ].filter((directive) => directive !== '');
  // To a request with If-None-Match, fetch adds `Cache-Control: no-cache` (Fetch Standard, 4.5), which would demand an
  // inference. It does not if a Cache-Control exists, and this directive has no effect.
  if (ifNoneMatch !== undefined && directives.length === 0) directives.push('no-transform');
  return {
    ...(directives.length > 0 ? { 'cache-control': directives.join(', ') } : {}),
    ...(minContext === undefined ? {} : { 'prediction-min-context': minContext }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
  };
}
