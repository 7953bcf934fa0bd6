/** How a request to erase or readmit a user names the user. */

import { checkNoBody } from '@tandem/endpoints/body';
import { checkIfMatch } from '@tandem/endpoints/caching';
import { requireKeyType, userIdProblem } from '@tandem/freshness/user-id';
import type { HonoRequest } from 'hono';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

/**
 * Returns the user of the path in canonical spelling, because a tombstone under another spelling would not apply.
 * Throws if a precondition of the request is not met, or if the request has a body: an erasure cannot be
 * undone, and a caller who sends a body may want to erase less.
 */
export async function askedUserId(req: HonoRequest, { keyType }: Pick<RouteDependencies, 'keyType'>): Promise<string> {
  const userId = req.param('userId') ?? '';
  const problem = userIdProblem(requireKeyType(await keyType()), userId, 'userId');
  if (problem) throw problem;
  checkIfMatch(req.header('if-match'));
  checkNoBody(req);
  return userId;
}
