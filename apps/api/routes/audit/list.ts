/** GET /v1/audit: who moved what, when and why, newest first, in pages. */
import { createRoute, z } from '@hono/zod-openapi';
import type { AuditPage, AuditRow } from '@tandem/offline-store/sql/audit';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { isRowNumber, PAGE_QUERY, pageIn, pageOf, pageQuery } from '../../http/page-query.ts';
import { problems } from '../../http/problem-schema.ts';

export interface AuditDependencies {
  /** Newest first. */
  listAudit(page: AuditPage): Promise<readonly AuditRow[]>;
}

const AuditSchema = z.strictObject({
  rows: z.array(
    z
      .strictObject({
        number: z.string(),
        at: z.iso.datetime(),
        actor: z.string().meta({ description: '`key:<name>`, `api`, `cli`, `analysis`, …' }),
        action: z.string(),
        predictor: z.string().nullable(),
        detail: z.record(z.string(), z.unknown()),
      })
      .meta({ id: 'AuditRow' }),
  ),
  next: z.string().nullable(),
});

const EXAMPLE = {
  rows: [
    {
      number: '42',
      at: '2026-11-24T02:10:00.120Z',
      actor: 'analysis',
      action: 'advance_rollout',
      predictor: 'repurchase',
      detail: { rollout: 3, reason: 'no guardrail is worse than stable by its margin' },
    },
  ],
  next: null,
};

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
  request: { query: pageQuery(z.string()) },
  responses: {
    200: { description: 'A page', content: { 'application/json': { schema: AuditSchema, example: EXAMPLE } } },
    ...problems('invalid_input', 'unavailable'),
  },
});
