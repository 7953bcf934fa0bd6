/** Judges answers by the corpus, and by the rules of every answer. Each fault is a sentence. */
import type { ExpectedAnswer, HostileRequest } from './corpus.ts';
import type { Answer } from './exchange.ts';

/** Matches texts that must not be in an answer or a log line: a stack trace, a path of the machine, SQL. */
export const INSIDES = /\n\s+at |node:internal|\.ts:\d+|file:\/\/\/|\bselect .+ from\b/i;
/** The same without SQL, because a model version shows its query, and a rejected push shows an example query. */
const INSIDES_BUT_SQL = /\n\s+at |node:internal|\.ts:\d+|file:\/\/\//i;

/** @param method the method of the request, because answers to HEAD have no body */
export function answerFaults(answer: Answer | undefined, expected: ExpectedAnswer, method: string): string[] {
  const { statuses, problem } = expected;
  if (!answer) return statuses.length === 0 ? [] : ['the connection ended without an answer'];
  const faults = wellFormedFaults(answer, method);
  if (!statuses.includes(answer.status)) {
    faults.push(
      `answered ${answer.status} instead of ${statuses.join(' or ') || 'nothing'}: ${answer.body.slice(0, 300)}`,
    );
  }
  const type = `urn:tandem:problem:${problem}`;
  if (problem !== null && problemOf(answer)?.type !== type)
    faults.push(`is not the problem ${problem}: ${answer.body.slice(0, 300)}`);
  return faults;
}

/** Returns whether an answer shows internals of the service, apart from SQL in a remedy. */
export function showsInsides(answer: Answer): boolean {
  return INSIDES_BUT_SQL.test(answer.body) || INSIDES.test(problemOf(answer)?.detail ?? '');
}

/** Returns faults by the rules that hold for every answer. */
function wellFormedFaults(answer: Answer, method: string): string[] {
  const { status, headers, body } = answer;
  const faults: string[] = [];
  if (status >= 500 && status !== 504) faults.push(`answered ${status}`);
  if (showsInsides(answer)) faults.push(`shows its insides: ${body.slice(0, 300)}`);
  if (status < 400) return faults;
  if (headers['content-type'] !== 'application/problem+json') faults.push(`${status} is not a problem document`);
  if (headers['cache-control'] !== 'no-store') faults.push(`${status} may be stored by a cache`);
  if (method === 'HEAD') return faults;
  const problem = problemOf(answer);
  if (problem?.status !== status) faults.push('the document says another status');
  if (!problem?.title || !problem.detail) faults.push('the document says nothing to people');
  return faults;
}

/** Compares the last answer with the corpus file, except for the status. Returns faults. */
export function lastAnswerFaults(answer: Answer | undefined, request: HostileRequest): string[] {
  const { field, detail, headers, withinMs } = request;
  if (!answer) return [];
  const problem = problemOf(answer);
  const faults: string[] = [];
  if (field !== null && problem?.field !== field) faults.push(`names ${problem?.field} instead of ${field}`);
  if (detail !== null && !`${problem?.detail}`.includes(detail)) faults.push(`says ${problem?.detail}, not ${detail}`);
  for (const [name, value] of headers) {
    if (!answer.headers[name]?.includes(value)) faults.push(`has ${name}: ${answer.headers[name]}, not ${value}`);
  }
  if (answer.ms > withinMs) faults.push(`took ${Math.round(answer.ms)} ms`);
  return faults;
}

/** Returns faults of one of several pipelined answers: it must be about its target, and must not follow the last answer. */
export function orderFaults({ headers, body }: Answer, target: string, before: Answer | undefined): string[] {
  const faults: string[] = [];
  if (before?.headers.connection === 'close') faults.push('comes after the last answer');
  if (headers['content-type']?.includes('json') !== true) return faults;
  const { instance, userId } = JSON.parse(body) as { readonly instance?: string; readonly userId?: string };
  const named = instance ?? userId;
  if (named !== undefined && !target.endsWith(named)) faults.push(`is about ${named}, not ${target}`);
  return faults;
}

interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly field?: string;
}

function problemOf({ body, headers }: Answer): Problem | undefined {
  if (headers['content-type'] !== 'application/problem+json') return undefined;
  try {
    return JSON.parse(body) as Problem;
  } catch {
    return undefined;
  }
}
