/** What a read's headers demand of its answer. */
import { parseContextToken } from '@tandem/prediction/events';
import { PLAIN_READ, type ReadOptions } from '@tandem/prediction/read-options';
import { NO_DIRECTIVES, parseCacheControl } from '../../http/cache-control.ts';
import type { RequestHead } from '../../http/foreign-request.ts';
import { RequestError } from '../../http/request-error.ts';

export const MIN_CONTEXT = 'prediction-min-context';

/** Throws a RequestError `malformed_request` that names the header. */
export function readOptions(request: RequestHead): ReadOptions {
  const directives = parseCacheControl(request.header('cache-control'));
  const token = request.header(MIN_CONTEXT);
  if (token === undefined) return directives === NO_DIRECTIVES ? PLAIN_READ : { ...directives, minContext: null };
  const minContext = parseContextToken(token);
  if (minContext) return { ...directives, minContext };
  throw new RequestError('malformed_request', 'Prediction-Min-Context is not a context token.', {
    field: 'Prediction-Min-Context',
    remedy: "send the contextToken of an event's acknowledgement",
  });
}
