/** A model version's number as the wire has it: a text. */
import { z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/freshness/errors';

const NUMBER = /^[1-9][0-9]{0,8}$/;
const FORM = "a model version's number, as text";

export const VersionNumberSchema = z.string(FORM).regex(NUMBER, FORM);

export const versionParameter = z
  .string()
  .meta({ param: { name: 'version', in: 'path' }, description: "The model version's number", example: '2' });

/** Throws `invalid_input`. @param field where it was said */
export function versionIn(text: string | undefined, field: string): number {
  if (text !== undefined && NUMBER.test(text)) return Number(text);
  throw new TandemError('invalid_input', `${JSON.stringify((text ?? '').slice(0, 40))} is no model version's number.`, {
    field,
    remedy: 'write 1, 2, 3, …: GET /v1/models lists them',
  });
}
