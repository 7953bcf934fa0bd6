/**
 * Judges an answer by the OpenAPI document. Status and media type are declared for the route, and the body matches the
 * schema. A temporary failure must name a retry time.
 */
import type { Answer } from '../exchange.ts';
import { showsInsides } from '../verdict.ts';
import type { ApiDocument, Operation, Schema } from './document.ts';
import type { FuzzRequest } from './requests.ts';
import { schemaFaults } from './schema-walk.ts';

/**
 * Problems of requests that do not reach a route. The document lists them for all routes: a path that its parameters
 * changed, a method that the path does not have, a header section that is too large, and malformed requests.
 */
const BEFORE_ROUTES: Readonly<Record<string, number>> = {
  'urn:tandem:problem:no_such_path': 404,
  'urn:tandem:problem:method_not_allowed': 405,
  'urn:tandem:problem:headers_too_large': 431,
  'urn:tandem:problem:malformed_request': 400,
  'urn:tandem:problem:forbidden': 403,
};

export function answerFaults(request: FuzzRequest, answer: Answer | undefined, document: ApiDocument): string[] {
  if (!answer) return ['the connection ended without an answer'];
  const { status, headers, body } = answer;
  const faults: string[] = [];
  // A busy machine may be not ready. That answer of /readyz is not a problem document and has no retry time.
  const isTemporary = status === 503 && (headers['retry-after'] !== undefined || request.operation.path === '/readyz');
  if (status >= 500 && status !== 504 && !isTemporary) faults.push(`answered ${status}`);
  if (showsInsides(answer) && !isDocumentation(request.operation))
    faults.push(`shows its insides: ${body.slice(0, 200)}`);
  if (request.method === 'OPTIONS' && status === 204) return faults;
  const type = (headers['content-type'] ?? '').replace(/;.*/, '');
  // Paths of the Open Inference Protocol have another form of problems, without the status.
  const problem = type.endsWith('json') ? readProblem(body) : undefined;
  if (type === 'application/problem+json' && problem?.status !== status && request.method !== 'HEAD')
    faults.push('the document says another status');
  const declared = askedOf(request, document)?.answers.get(status);
  const isBefore =
    request.method === 'HEAD' ? BEFORE_STATUSES.has(status) : BEFORE_ROUTES[problem?.type ?? ''] === status;
  if (!declared) {
    return isBefore
      ? faults
      : [...faults, `answered ${status}, which the document does not declare: ${body.slice(0, 200)}`];
  }
  // A request that does not reach its path is rejected with a problem document, even if the path has another form.
  if (isBefore && type === 'application/problem+json') return faults;
  return [...faults, ...contentFaults(request, answer, type, declared, document)];
}

const BEFORE_STATUSES = new Set(Object.values(BEFORE_ROUTES));

/**
 * Returns the operation that the request reaches. Another method may belong to another operation. HEAD counts as GET.
 */
function askedOf({ method, operation }: FuzzRequest, { operations }: ApiDocument): Operation | undefined {
  const asked = method === 'HEAD' ? 'GET' : method;
  return operations.find((one) => one.path === operation.path && one.method === asked);
}

function contentFaults(
  request: FuzzRequest,
  { status, body }: Answer,
  type: string,
  declared: ReadonlyMap<string, Schema>,
  { definitions }: ApiDocument,
): string[] {
  if (declared.size === 0) return body === '' ? [] : [`${status} has a body, and should have none`];
  const schema = declared.get(type);
  if (!schema) return [`${status} is of type ${type || 'none'}, which the document does not declare`];
  if (request.method === 'HEAD') return body === '' ? [] : ['HEAD has a body'];
  if (!type.endsWith('json')) return [];
  return schemaFaults(JSON.parse(body), schema, definitions);
}

/** Returns whether the operation serves documentation, which may show examples of forbidden texts. */
function isDocumentation({ operationId }: Operation): boolean {
  return operationId === 'showDocs' || operationId === 'showOpenApi';
}

function readProblem(body: string): { readonly type?: string; readonly status?: number } | undefined {
  try {
    return (JSON.parse(body) ?? undefined) as { type?: string; status?: number } | undefined;
  } catch {
    return undefined;
  }
}
