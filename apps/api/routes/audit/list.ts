/** GET /v1/audit: who moved what, when and why, newest first, in pages. */
import { createRoute } from '@hono/zod-openapi';
import type { AuditPage, AuditRow } from '@tandem/offline-store/sql/audit';
import { AUDIT_EXAMPLE, AuditPageSchema } from '@tandem/wire/audit';
import { PAGE_QUERY, PageQuery } from '@tandem/wire/page';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { isRowNumber, pageIn, pageOf } from '../../http/page-query.ts';
import { problems } from '../../http/problems.ts';

export interface AuditDependencies {
  /** Newest first. */
  listAudit(page: AuditPage): Promise<readonly AuditRow[]>;
}

export function listAuditRows({ listAudit }: AuditDependencies): Endpoint {
  return {
    route,
    scope: 'rollouts:admin',
    produces: 'application/json',
    query: PAGE_QUERY,
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
      return jsonResponse({ rows, next });
    },
  };
}

const route = createRoute({
  operationId: 'listAudit',
  method: 'get',
  path: '/v1/audit',
  tags: ['audit'],
  summary: 'Who moved what, when and why',
  request: { query: PageQuery },
  responses: {
    200: {
      description: 'A page',
      content: { 'application/json': { schema: AuditPageSchema, example: AUDIT_EXAMPLE } },
    },
    ...problems('invalid_input', 'unavailable'),
  },
});
