/** GET /v1/audit: changes of generations, rollouts, labels and keys, newest first, in pages. */
import type { AuditPage, AuditRow } from '@tandem/offline-store/sql/audit';
import { AUDIT_EXAMPLE, AuditPageSchema } from '@tandem/wire/audit';
import { PageQuery } from '@tandem/wire/page';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { isRowNumber, pageIn, pageOf } from '../../http/page-query.ts';

export interface AuditDependencies {
  /** Lists a page of rows, newest first. */
  listAudit(page: AuditPage): Promise<readonly AuditRow[]>;
}

export function listAuditRows({ listAudit }: AuditDependencies) {
  return jsonEndpoint({
    operationId: 'listAudit',
    method: 'get',
    path: '/v1/audit',
    tag: 'audit',
    summary: 'Changes of generations, rollouts, labels and keys, newest first',
    scope: 'rollouts:admin',
    query: PageQuery,
    answer: { description: 'A page', schema: AuditPageSchema, example: AUDIT_EXAMPLE },
    problems: ['invalid_input', 'unavailable'],
    async handle(context) {
      const { before, ...asked } = pageIn(context, isRowNumber, 'the number of a row');
      const { limit } = asked;
      const found = await listAudit({
        ...asked,
        limit: limit + 1,
        ...(before === undefined ? {} : { before: Number(before) }),
      });
      const { page, next } = pageOf(found, limit, ({ number }) => String(number));
      const rows = page.map(({ number, at, ...row }) => ({ number: String(number), at: at.toISOString(), ...row }));
      return { rows, next };
    },
  });
}
