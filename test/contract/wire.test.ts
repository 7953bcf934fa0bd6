/** libs/wire imports only Zod, so it repeats some definitions of other libs. These tests compare both, and a page. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { BUCKETS } from '@tandem/freshness/assignment';
import { PLAN_EXAMPLE, BUCKETS as WIRE_BUCKETS } from '@tandem/rollouts/wire/rollout-plan';
import { expect, it } from 'vitest';
import { root } from '../architecture/source-tree.ts';

it('a percentage in a plan has the resolution of the user buckets', () => {
  expect(WIRE_BUCKETS).toBe(BUCKETS);
});

it('docs/experiments.md lists each default of the analysis', () => {
  const page = readFileSync(join(root, 'docs/experiments.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `(\w+)` +\| `([^`]+)` +\|/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const defaults = Object.entries(PLAN_EXAMPLE.analysis).map(([name, value]) => [name, JSON.stringify(value)]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(defaults));
});

it('wire, API and the generator of the OpenAPI document share one Zod, whose registry has the names of schemas', () => {
  const resolveFrom = (file: string, name: string) => createRequire(file).resolve(name);
  const wire = join(root, 'libs/wire/schema.ts');
  const hono = resolveFrom(join(root, 'apps/api/app.ts'), '@hono/zod-openapi');
  const generator = resolveFrom(hono, '@asteasolutions/zod-to-openapi');
  const copies = new Set([wire, hono, generator].map((file) => resolveFrom(file, 'zod')));
  expect(copies.size).toBe(1);
});
