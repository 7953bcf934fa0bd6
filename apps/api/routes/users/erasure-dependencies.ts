/** What erasing and readmitting a user take, and how the user is named there. */

import { type KeyType, requireKeyType, userIdProblem } from '@tandem/freshness/user-id';
import { RequestError } from '@tandem/http-server/request-error';
import type { EraseUser } from '@tandem/prediction/erasure/erase-user';
import type { ErasureStore } from '@tandem/prediction/erasure/erasure';
import type { HonoRequest } from 'hono';
import { checkIfMatch } from '../../http/caching.ts';

export interface ErasureDependencies {
  readonly eraseUser: EraseUser;
  readonly readmitUser: ErasureStore['readmit'];
  /** The service's key type; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
}

/**
 * The user that the path names, in canonical spelling: a tombstone under another one would keep nobody out. Throws where
 * the caller sets a condition that does not hold, or sends what nobody would read.
 */
export async function askedUserId(
  req: HonoRequest,
  { keyType }: Pick<ErasureDependencies, 'keyType'>,
): Promise<string> {
  const userId = req.param('userId') ?? '';
  const problem = userIdProblem(requireKeyType(await keyType()), userId, 'userId');
  if (problem) throw problem;
  checkIfMatch(req.header('if-match'));
  checkNoBody(req);
  return userId;
}

/** What cannot be taken back is not begun before the request is whole, nor where it may be meant for less than is done. */
function checkNoBody(req: HonoRequest): void {
  const isEmpty = Number(req.header('content-length') ?? 0) === 0 && req.header('transfer-encoding') === undefined;
  if (isEmpty) return;
  throw new RequestError('malformed_request', 'This request takes no body.', {
    remedy: 'send the request without a body: the path names the user',
  });
}
