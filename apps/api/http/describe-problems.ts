/** The problems of an endpoint, as its OpenAPI description lists them. */
import { ProblemSchema } from '@tandem/wire/problem';
import { PROBLEM_KINDS, type ProblemCode, problemType } from './problem.ts';

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
