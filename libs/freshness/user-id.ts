/**
 * A user id is the canonical text of the key column's type, so that one user has one spelling in every store. Every
 * route rejects another spelling and names the canonical one. `tandem.user_id_problem` in the migrations is the same
 * rule for events written in SQL.
 */

import { TandemError } from './errors.ts';

/** The type of the key column of a feature query, the same for every predictor of a service. */
export type KeyType = 'int8' | 'uuid' | 'text';

type UserIdCheck =
  | { readonly ok: true }
  | { readonly ok: false; readonly problem: string; readonly canonical?: string };

const MAX_USER_ID_BYTES = 128;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Returns whether a text is a lower-case uuid. For other texts, Postgres would reject a statement that looks for an id. */
export const isUuid = (text: string): boolean => UUID.test(text);

const WHOLE_NUMBER = /^(0|-?[1-9][0-9]{0,18})$/;
const OK: UserIdCheck = { ok: true };

/** Checks the spelling of a user id; never throws. */
export function checkUserId(keyType: KeyType, userId: string): UserIdCheck {
  // An id of this form breaks no other rule. The check takes a third of the time, and nearly all ids pass it.
  if (keyType === 'int8' && userId.length < 19 && WHOLE_NUMBER.test(userId)) return OK;
  if (userId === '') return refuse('the user id is empty');
  if (userId.length > MAX_USER_ID_BYTES || Buffer.byteLength(userId) > MAX_USER_ID_BYTES) {
    return refuse(`the user id is longer than ${MAX_USER_ID_BYTES} bytes`);
  }
  if (hasControlCharacter(userId)) return refuse('the user id has a control character');
  if (!userId.isWellFormed()) return refuse('the user id has a lone surrogate');
  switch (keyType) {
    case 'int8':
      return checkWholeNumber(userId);
    case 'uuid':
      if (UUID.test(userId)) return OK;
      return UUID.test(userId.toLowerCase())
        ? refuse('the user id is not a lower-case uuid', userId.toLowerCase())
        : refuse('the user id is not a lower-case uuid');
    case 'text':
      if (userId === '.' || userId === '..') return refuse('the user id is . or .., which no URL path can carry');
      return userId.normalize('NFC') === userId
        ? OK
        : refuse('the user id is not in Unicode normalization form C', userId.normalize('NFC'));
  }
}

function checkWholeNumber(userId: string): UserIdCheck {
  const plain = /^\s*([+-]?)0*([0-9]+)\s*$/.exec(userId);
  const message = 'the user id is not a whole number, or has leading zeros or a sign +';
  if (!plain) return refuse(message);
  const meant = BigInt(`${plain[1] === '-' ? '-' : ''}${plain[2]}`);
  if (BigInt.asIntN(64, meant) !== meant) return refuse('the user id does not fit 64 bits');
  const canonical = meant.toString();
  return canonical === userId ? OK : refuse(message, canonical);
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return true;
  }
  return false;
}

function refuse(problem: string, canonical?: string): UserIdCheck {
  return canonical === undefined ? { ok: false, problem } : { ok: false, problem, canonical };
}

/** Returns the type of user ids. Throws `unavailable` if no config is adopted yet, since the type is then unknown. */
export function requireKeyType(keyType: KeyType | null): KeyType {
  if (keyType !== null) return keyType;
  throw new TandemError('unavailable', 'No predictor is adopted yet, so the type of user ids is not known.', {
    remedy: 'adopt a config first (tandem up)',
    retryAfter: 5,
  });
}

/** Returns the error of a user id, or undefined if it is canonical. */
export function userIdProblem(keyType: KeyType, userId: string, field: string): TandemError | undefined {
  const check = checkUserId(keyType, userId);
  if (check.ok) return undefined;
  return new TandemError(
    'invalid_input',
    `${JSON.stringify(userId.slice(0, 80).toWellFormed())} is rejected: ${check.problem}.`,
    {
      field,
      remedy:
        check.canonical === undefined
          ? 'send an id of this form; a user whose own id is rejected needs another id in its source'
          : `send ${JSON.stringify(check.canonical)}`,
    },
  );
}
