/** The problems of an endpoint, as its OpenAPI description lists them. */
import { z } from '@hono/zod-openapi';
import { PROBLEM_KINDS, type ProblemCode, problemType } from './problem.ts';

export const ProblemSchema = z
  .strictObject({
    type: z.string().meta({ description: 'Stable; programs react to it', example: problemType('invalid_input') }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What happened, for people' }),
    instance: z.string().optional().meta({ description: "The request's path" }),
    field: z.string().optional().meta({ description: 'Where the fault lies', example: 'userIds[3]' }),
    remedy: z.string().optional().meta({ description: 'What the caller can do about it' }),
  })
  .meta({ id: 'Problem' });

/** Of every endpoint. */
const ANYWHERE: readonly ProblemCode[] = ['malformed_request', 'forbidden', 'not_acceptable', 'internal_error'];

/** Responses by status, each with an example a code. */
export function problems(...codes: readonly ProblemCode[]) {
  return problemsByStatus([...ANYWHERE, ...codes]);
}

/** Of every endpoint that asks for a key, where these statuses mean nothing else. */
export function keyProblems() {
  return problemsByStatus(['unauthorized', 'forbidden', 'missing_scope', 'rate_limited']);
}

function problemsByStatus(codes: readonly ProblemCode[]) {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEM_KINDS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, some]) => [status, problemsOfStatus(some)]));
}

function problemsOfStatus(codes: readonly ProblemCode[]) {
  const examples = codes.map((code) => {
    const { status, title, when } = PROBLEM_KINDS[code];
    return [code, { summary: when, value: { type: problemType(code), title, status, detail: `${title}: ${when}.` } }];
  });
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEM_KINDS[code].when}`).join('; '),
    content: { 'application/problem+json': { schema: ProblemSchema, examples: Object.fromEntries(examples) } },
  };
}
