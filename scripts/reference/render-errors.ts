/** Renders docs/reference/errors.md: every problem of the service, from the table that the service itself uses. */

import { PROBLEM_KINDS, problemType } from '@tandem/endpoints/problem';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { renderTable } from './markdown-table.ts';

export function renderErrors(): string {
  const kinds = Object.entries(PROBLEM_KINDS) as [ErrorCode, (typeof PROBLEM_KINDS)[ErrorCode]][];
  const rows = kinds.map(([code, { status, title, when }]) => [
    `<a id="${code}"></a>\`${code}\``,
    String(status),
    title,
    when,
  ]);
  return [
    `An error is a problem document (RFC 9457) with the media type \`application/problem+json\`. Its \`type\` is
\`${problemType('invalid_input').replace('invalid_input', '<code>')}\`. Programs react to \`type\`; \`detail\`, \`field\` and \`remedy\` are for people.`,
    'A 503 carries `Retry-After`. After a 4xx, a retry gets the same answer until the request, the rows or the config change.',
    renderTable(['code', 'status', 'title', 'when'], rows),
  ].join('\n\n');
}
