/** Live inference within a caller's limit: whom it leaves no room for is answered as where inference itself has none. */

import type { LivePredictor, LiveRequest } from './live-predictor.ts';
import { type LiveOutcome, OVER_QUOTA } from './live-predictor.ts';
import type { LiveQuota } from './read-options.ts';

/**
 * @param quota of the caller; undefined: no limit. Readers that share another's inference count as those that begin one.
 */
export async function predictWithin(
  live: LivePredictor,
  request: LiveRequest,
  quota: LiveQuota | undefined,
): Promise<ReadonlyMap<string, LiveOutcome>> {
  const { readers } = request;
  if (!quota || !request.enabled) return live.predict(request);
  const admitted = quota.take(readers.length);
  if (admitted >= readers.length) return live.predict(request);
  const refused = readers.slice(admitted).map(({ userId }): [string, LiveOutcome] => [userId, OVER_QUOTA]);
  if (admitted === 0) return new Map(refused);
  return new Map([...(await live.predict({ ...request, readers: readers.slice(0, admitted) })), ...refused]);
}
