/** What erasing and readmitting a user take, and how the user is named there. */
import type { EraseUser } from '@tandem/prediction/erasure/erase-user';
import type { ErasureStore } from '@tandem/prediction/erasure/erasure';
import type { KeyType } from '@tandem/prediction/user-id';
import type { HonoRequest } from 'hono';
import { requireKeyType, userIdProblem } from '../../user-id-problem.ts';

export interface ErasureDependencies {
  readonly eraseUser: EraseUser;
  readonly readmitUser: ErasureStore['readmit'];
  /** The service's key type; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
}

/** The user that the path names, in canonical spelling: a tombstone under another one would keep nobody out. */
export async function canonicalUserId(
  req: HonoRequest,
  { keyType }: Pick<ErasureDependencies, 'keyType'>,
): Promise<string> {
  const userId = req.param('userId') ?? '';
  const problem = userIdProblem(requireKeyType(await keyType()), userId, 'userId');
  if (problem) throw problem;
  return userId;
}
