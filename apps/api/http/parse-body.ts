/** A JSON body of a known form: read, checked, and where it is refused, the field and the remedy named. */
import type { z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/freshness/errors';
import type { Context } from 'hono';
import { readJson } from '../json/read-json.ts';
import { refuseContentEncoding, requireMediaType } from './media-type.ts';
import { readBody } from './read-body.ts';

/** The body as JSON of one of these media types, with the type it came in. */
export async function jsonBody<T extends string>(
  { req }: Context,
  types: readonly T[],
): Promise<{ readonly type: T; readonly value: unknown }> {
  refuseContentEncoding(req.header('content-encoding'));
  const type = requireMediaType(req.header('content-type'), types);
  return { type, value: readJson(await readBody(req.raw, req.header('content-length'))) };
}

export interface BodyForm<S extends z.ZodType> {
  readonly schema: S;
  /** A body that is right: it is shown to whoever sends one that is not. */
  readonly example: z.input<S>;
  /** An absent body counts as `{}`. */
  readonly optional?: boolean;
}

/** A body of our own form. */
export async function parseBody<S extends z.ZodType>(context: Context, form: BodyForm<S>): Promise<z.output<S>> {
  const { optional = false } = form;
  const isAbsent =
    optional && !context.req.header('content-type') && (context.req.header('content-length') ?? '0') === '0';
  const value = isAbsent ? {} : (await jsonBody(context, ['application/json'])).value;
  return checkForm(form, value);
}

/** Throws a TandemError `invalid_input` that names the first field that is wrong. */
function checkForm<S extends z.ZodType>({ schema, example }: BodyForm<S>, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const known = 'shape' in schema ? ` with ${Object.keys(schema.shape as object).join(', ')}` : '';
  if (issue?.code === 'unrecognized_keys') {
    const field = pathOf([...issue.path, issue.keys[0] ?? '']);
    throw new TandemError('invalid_input', `The field ${field} is not known.`, {
      field,
      remedy:
        issue.path.length === 0 && known !== '' ? `leave it out; those known are${known.slice(5)}` : 'leave it out',
    });
  }
  const field = pathOf(issue?.path ?? []);
  throw new TandemError('invalid_input', `${field === '' ? 'The body' : field}: ${issue?.message ?? 'wrong form'}.`, {
    ...(field === '' ? {} : { field }),
    remedy: `send a JSON object${known}, such as ${JSON.stringify(example)}`,
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part).slice(0, 80) : `${text}.${String(part).slice(0, 80)}`;
  }, '');
}
