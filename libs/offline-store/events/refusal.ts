/**
 * Translates rejections by the schema's own functions (`tandem.refuse_event` in the migrations) into errors of the
 * domain.
 */
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import pg from 'pg';

/**
 * Returns the error for senders, with the field `[index].name`. Other errors are returned unchanged.
 * @param sent the sent events, in order
 * @param conflict the code for an id that was used with different content
 */
export function asRefusal(
  error: unknown,
  sent: readonly { readonly source: string; readonly id: string }[],
  conflict: ErrorCode,
): unknown {
  if (isTandemError(error) || !(error instanceof pg.DatabaseError)) return error;
  if (error.code !== 'TD422' && error.code !== 'TD409') return error;
  const { index, field } = JSON.parse(error.detail ?? '{}') as { index: number; field: string };
  return new TandemError(error.code === 'TD409' ? conflict : 'invalid_input', sentence(error.message), {
    field: `[${index}].${field}`,
    ...(error.hint === undefined ? {} : { remedy: error.hint }),
    detail: { source: sent[index]?.source, id: sent[index]?.id },
    cause: error,
  });
}

/** Returns a message of the schema as a sentence: with a capital letter and a period. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
