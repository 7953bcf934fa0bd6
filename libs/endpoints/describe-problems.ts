/** Lists the problems of an endpoint for its OpenAPI description. */
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { ProblemSchema, type ProblemView } from '@tandem/wire/problem';
import type { Schema } from '@tandem/wire/schema';
import { type HttpProblem, PROBLEM_KINDS, problemResponse, problemType } from './problem.ts';

/** Problems of every endpoint. */
const ANYWHERE: readonly ErrorCode[] = ['malformed_request', 'forbidden', 'not_acceptable', 'internal_error'];

/** Problems of every endpoint that infers live for a user. */
export const LIVE_PROBLEMS: readonly ErrorCode[] = [
  'features_failed',
  'features_unusable',
  'output_unusable',
  'rate_limited',
  'no_prediction',
  'live_timeout',
  'live_failed',
  'overloaded',
  'unavailable',
  'protocol_unknown',
];

/** The form of an endpoint's rejections. */
export interface RefusalForm {
  /** The path at and below which unknown paths are rejected in this form, such as `/v2`; empty: all paths. */
  readonly below: string;
  respond(problem: HttpProblem): Response;
  /** The media type and the schema of the body. */
  readonly type: string;
  readonly schema: Schema;
  /** Returns the body that carries the problem. */
  view(problem: ProblemView): unknown;
}

const PROBLEM_DOCUMENTS: RefusalForm = {
  below: '',
  respond: problemResponse,
  type: 'application/problem+json',
  schema: ProblemSchema,
  view: (problem) => problem,
};

/** Returns responses by status, each with an example for each code. */
export function problems(...codes: readonly ErrorCode[]) {
  return refusalsIn(PROBLEM_DOCUMENTS, ...codes);
}

/** Returns the same responses in another body form. */
export function refusalsIn(form: RefusalForm = PROBLEM_DOCUMENTS, ...codes: readonly ErrorCode[]) {
  return problemsByStatus([...ANYWHERE, ...codes], form);
}

/**
 * Returns the problems of every endpoint that needs a key. An endpoint may use their statuses for other problems
 * instead.
 */
export function keyProblems(form: RefusalForm = PROBLEM_DOCUMENTS) {
  return problemsByStatus(['unauthorized', 'forbidden', 'missing_scope', 'rate_limited'], form);
}

function problemsByStatus(codes: readonly ErrorCode[], form: RefusalForm) {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = PROBLEM_KINDS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, some]) => [status, problemsOfStatus(some, form)]));
}

function problemsOfStatus(codes: readonly ErrorCode[], { type, schema, view }: RefusalForm) {
  const examples = codes.map((code) => {
    const { status, title, when } = PROBLEM_KINDS[code];
    const problem = { type: problemType(code), title, status, detail: `${title}: ${when}.` };
    return [code, { summary: when, value: view(problem) }];
  });
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEM_KINDS[code].when}`).join('; '),
    content: { [type]: { schema, examples: Object.fromEntries(examples) } },
  };
}
