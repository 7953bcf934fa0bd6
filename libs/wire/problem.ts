/** A problem document (RFC 9457): what every error answer carries. */
import { z } from 'zod';
import type { Answered } from './schema.ts';

export const ProblemSchema = z
  .strictObject({
    type: z.string().meta({ description: 'Stable; programs react to it', example: 'urn:tandem:problem:invalid_input' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What happened, for people' }),
    instance: z.string().optional().meta({ description: "The request's path" }),
    field: z.string().optional().meta({ description: 'Where the fault lies', example: 'userIds[3]' }),
    remedy: z.string().optional().meta({ description: 'What the caller can do about it' }),
  })
  .meta({ id: 'Problem' });

export type ProblemView = Answered<typeof ProblemSchema>;
