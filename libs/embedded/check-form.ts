/** Checks a value against its schema. An error names the field and the remedy. */
import { TandemError } from '@tandem/freshness/errors';
import { SEND_OBJECT } from '@tandem/wire/problem';
import type { Read, Schema, Sent } from '@tandem/wire/schema';

/** The schema of a request body, or of an argument of an embedded call. */
export interface BodyForm<S extends Schema> {
  readonly schema: S;
  /** A valid body, quoted in the errors of invalid bodies. */
  readonly example: Sent<S>;
  /** Valid bodies for the errors of some fields, by the name of the field. */
  readonly examples?: Readonly<Record<string, Sent<S>>>;
  /** Whether the body may be absent, which counts as `{}`. */
  readonly optional?: boolean;
}

/** The name of the value as a whole in errors, and the remedy. */
const BODY = { name: 'The body', remedy: SEND_OBJECT };
export const ARGUMENT: typeof BODY = { name: 'The argument', remedy: 'give an object' };

/** Returns the value as the schema reads it. Throws a TandemError `invalid_input` that names the first wrong field. */
export function checkForm<S extends Schema>(form: BodyForm<S>, value: unknown, whole = BODY): Read<S> {
  const { schema, examples } = form;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const known = 'shape' in schema ? ` with ${Object.keys(schema.shape as object).join(', ')}` : '';
  if (issue?.code === 'unrecognized_keys') {
    const field = pathOf([...issue.path, issue.keys[0] ?? '']);
    throw new TandemError('invalid_input', `The field ${field} is not known.`, {
      field,
      remedy:
        issue.path.length === 0 && known !== ''
          ? `leave it out; the known fields are${known.slice(5)}`
          : 'leave it out',
    });
  }
  const field = pathOf(issue?.path ?? []);
  const example = examples?.[String(issue?.path[0])] ?? form.example;
  const tooMany = issue?.code === 'too_big' && issue.origin === 'array';
  throw new TandemError('invalid_input', `${field === '' ? whole.name : field}: ${issue?.message ?? 'wrong form'}.`, {
    ...(field === '' ? {} : { field }),
    remedy: tooMany ? `give at most ${issue.maximum}` : `${whole.remedy}${known}, such as ${JSON.stringify(example)}`,
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part).slice(0, 80) : `${text}.${String(part).slice(0, 80)}`;
  }, '');
}
