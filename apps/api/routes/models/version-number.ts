/** A model version's number in the wire format: a text. */
import { TandemError } from '@tandem/freshness/errors';
import { NUMBER_TEXT } from '@tandem/wire/numbers';

/** Throws `invalid_input`. @param field the place of the number */
export function versionIn(text: string | undefined, field: string): number {
  if (text !== undefined && NUMBER_TEXT.test(text)) return Number(text);
  throw new TandemError('invalid_input', `${JSON.stringify((text ?? '').slice(0, 40))} is no model version's number.`, {
    field,
    remedy: 'write 1, 2, 3, …: GET /v1/models lists them',
  });
}
