/** Parses the number of a model version in a path or a query. */
import { TandemError } from '@tandem/freshness/errors';
import { NUMBER_TEXT } from '@tandem/wire/numbers';

/**
 * Parses the number. Throws `invalid_input`.
 * @param field the place of the number
 */
export function versionIn(text: string | undefined, field: string): number {
  if (text !== undefined && NUMBER_TEXT.test(text)) return Number(text);
  throw new TandemError(
    'invalid_input',
    `${JSON.stringify((text ?? '').slice(0, 40))} is not the number of a model version.`,
    {
      field,
      remedy: 'write a number such as 1 or 2; GET /v1/models lists the numbers',
    },
  );
}
