/** A problem document (RFC 9457), the body of every error answer. */
import { z } from 'zod';
import type { Answered } from './schema.ts';

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
