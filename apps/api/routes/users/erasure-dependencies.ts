/** The dependencies of erasing and readmitting a user, and how a request names the user. */

import { type KeyType, requireKeyType, userIdProblem } from '@tandem/freshness/user-id';
import type { EraseUser } from '@tandem/prediction/erasure/erase-user';
import type { ErasureStore } from '@tandem/prediction/erasure/erasure';
import type { HonoRequest } from 'hono';
import { checkNoBody } from '../../http/body.ts';
import { checkIfMatch } from '../../http/caching.ts';

export interface ErasureDependencies {
  readonly eraseUser: EraseUser;
  readonly readmitUser: ErasureStore['readmit'];
  /** Returns the key type of the service; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
}

/**
 * Returns the user of the path in canonical spelling, because a tombstone under another spelling would not apply.
 * Throws if a precondition of the request is not met, or if the request has a body: an erasure cannot be
 * undone, and a caller who sends a body may want to erase less.
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
