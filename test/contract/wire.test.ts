/** libs/wire imports Zod alone: what it has in common with other libs is stated twice, and compared here. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { BUCKETS } from '@tandem/experiment/assignment';
import { BUCKETS as WIRE_BUCKETS } from '@tandem/wire/rollout-plan';
import { expect, it } from 'vitest';
import { root } from '../architecture/source-tree.ts';

it('a percentage of a plan has as many digits as there are buckets of users', () => {
  expect(WIRE_BUCKETS).toBe(BUCKETS);
});

it('wire, API and the generator of the OpenAPI document share one Zod, whose registry has the names of schemas', () => {
  const resolveFrom = (file: string, name: string) => createRequire(file).resolve(name);
  const wire = join(root, 'libs/wire/schema.ts');
  const hono = resolveFrom(join(root, 'apps/api/app.ts'), '@hono/zod-openapi');
  const generator = resolveFrom(hono, '@asteasolutions/zod-to-openapi');
  const copies = new Set([wire, hono, generator].map((file) => resolveFrom(file, 'zod')));
  expect(copies.size).toBe(1);
});
