/** A problem document (RFC 9457), the body of every error answer. */
import { ERROR_KINDS, type ErrorCode } from '@tandem/freshness/error-codes';
import { z } from 'zod';
import type { Answered } from './schema.ts';

/** The beginning of the remedy for a wrong body. The CLI replaces such a remedy by the option to correct. */
export const SEND_OBJECT = 'send a JSON object';

export const ProblemSchema = z
  .strictObject({
    type: z
      .string()
      .meta({ description: 'Stable identifier for programs', example: 'urn:tandem:problem:invalid_input' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What happened, for people' }),
    instance: z.string().optional().meta({ description: "The request's path" }),
    field: z.string().optional().meta({ description: 'Field with the error', example: 'userIds[3]' }),
    remedy: z.string().optional().meta({ description: 'How the caller can fix the problem' }),
  })
  .meta({ id: 'Problem' });

export type ProblemView = Answered<typeof ProblemSchema>;

/** The code is the last part of `type`. */
export const ProblemCodeSchema = z.enum(Object.keys(ERROR_KINDS) as ErrorCode[]).meta({
  id: 'ProblemCode',
  description: "The codes of the service's problem documents. docs/failures.md and `/docs` explain each",
});
