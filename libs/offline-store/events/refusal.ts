/** What the schema's own functions refuse, as errors of the domain: `tandem.refuse_event` in the migrations says them. */
import { type ErrorCode, isTandemError, TandemError } from '@tandem/freshness/errors';
import pg from 'pg';

/** The error's detail. */
interface Refusal {
  readonly index: number;
  readonly field: string;
}

/**
 * The error as senders should see it, field `[index].name`; any other as it was.
 * @param sent what was sent, in order
 * @param conflict the code of an id that was used for something else
 */
export function asRefusal(
  error: unknown,
  sent: readonly { readonly source: string; readonly id: string }[],
  conflict: ErrorCode,
): unknown {
  if (isTandemError(error) || !(error instanceof pg.DatabaseError)) return error;
  if (error.code !== 'TD422' && error.code !== 'TD409') return error;
  const { index, field } = JSON.parse(error.detail ?? '{}') as Refusal;
  return new TandemError(error.code === 'TD409' ? conflict : 'invalid_input', sentence(error.message), {
    field: `[${index}].${field}`,
    ...(error.hint === undefined ? {} : { remedy: error.hint }),
    detail: { source: sent[index]?.source, id: sent[index]?.id },
    cause: error,
  });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
