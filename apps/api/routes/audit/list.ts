/** GET /v1/audit: changes of generations, rollouts, labels and keys, newest first, in pages. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { isRowNumber, pageIn, pageOf } from '@tandem/endpoints/page-query';
import { AUDIT_EXAMPLE, AuditPageSchema } from '@tandem/wire/audit';
import { PageQuery } from '@tandem/wire/page';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function listAuditRows({ listAudit }: RouteDependencies) {
  return defineEndpoint({
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
      const from = before === undefined ? asked : { ...asked, before: Number(before) };
      const { page, next } = await pageOf(from, listAudit, ({ number }) => String(number));
      const rows = page.map(({ number, at, ...row }) => ({ number: String(number), at: at.toISOString(), ...row }));
      return { rows, next };
    },
  });
}
