/** A user id in another spelling is refused on every route, with the canonical one named. */
import { TandemError } from '@tandem/freshness/errors';
import { checkUserId, type KeyType } from '@tandem/freshness/user-id';

/** The type of user ids, of which there is none before a config is adopted: then it throws `unavailable`. */
export function requireKeyType(keyType: KeyType | null): KeyType {
  if (keyType !== null) return keyType;
  throw new TandemError('unavailable', 'No predictor is adopted yet, so the type of user ids is not known.', {
    remedy: 'adopt a config first (tandem up)',
    retryAfter: 5,
  });
}

/** The error of a user id, or undefined where it is canonical. */
export function userIdProblem(keyType: KeyType, userId: string, field: string): TandemError | undefined {
  const check = checkUserId(keyType, userId);
  if (check.ok) return undefined;
  return new TandemError(
    'invalid_input',
    `${JSON.stringify(userId.slice(0, 80).toWellFormed())} is refused: ${check.problem}.`,
    {
      field,
      remedy:
        check.canonical === undefined
          ? 'send an id of this form; a user whose own id is refused needs another id in its source'
          : `send ${JSON.stringify(check.canonical)}`,
    },
  );
}
