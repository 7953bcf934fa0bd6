/** Renders docs/reference/api.md: every operation of the API by tag, with scope, parameters and problems. */
import type { ApiDocument, Operation } from './describe-service.ts';
import { renderTable } from './markdown-table.ts';

interface Described {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

export function renderApi(document: ApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const parts = document.tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags[0] === name);
    return [`## ${name}`, ...(description ? [`${description}.`] : []), tableOf(own), ...own.map(sectionOf)].join(
      '\n\n',
    );
  });
  return parts.join('\n\n');
}

function tableOf(operations: readonly Described[]): string {
  return renderTable(
    ['operation', 'what it does', 'scope'],
    operations.map(({ method, path, operation }) => [
      `\`${method} ${path}\``,
      operation.summary,
      scopesOf(operation)
        .map((scope) => `\`${scope}\``)
        .join(' or ') || 'none',
    ]),
  );
}

function sectionOf({ method, path, operation }: Described): string {
  const parameters = operation.parameters ?? [];
  const problems = problemsOf(operation);
  const lines = [
    `### ${operation.operationId}`,
    `\`${method} ${path}\``,
    ...(operation.description ? [operation.description] : []),
    ...(parameters.length > 0
      ? [
          renderTable(
            ['parameter', 'in', 'meaning'],
            parameters.map((one) => [
              `\`${one.name}\`${one.required ? '' : ' (optional)'}`,
              one.in,
              one.description ?? '',
            ]),
          ),
        ]
      : []),
    ...(problems.length > 0
      ? [`Problems: ${problems.map((code) => `[\`${code}\`](errors.md#${code})`).join(', ')}.`]
      : []),
  ];
  return lines.join('\n\n');
}

/** Renders the scopes. A request needs one of them. */
function scopesOf({ security = [] }: Operation): readonly string[] {
  return security.flatMap((scheme) => Object.values(scheme).flat());
}

/** Returns the codes of the operation's problems, without the problems that every operation has. */
function problemsOf({ responses }: Operation): readonly string[] {
  const everywhere = new Set([
    'malformed_request',
    'forbidden',
    'not_acceptable',
    'internal_error',
    'unauthorized',
    'missing_scope',
    'rate_limited',
  ]);
  const codes = Object.entries(responses)
    .filter(([status]) => Number(status) >= 400)
    .flatMap(([, { content = {} }]) => Object.values(content).flatMap(({ examples = {} }) => Object.keys(examples)));
  return [...new Set(codes)].filter((code) => !everywhere.has(code));
}
