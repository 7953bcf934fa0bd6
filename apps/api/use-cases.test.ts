import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';

const root = import.meta.dirname;

/** Returns all imports of a file, including those of imported files of this app. */
function importsOf(file: string, found = new Set<string>()): Set<string> {
  for (const [, specifier = ''] of readFileSync(join(root, file), 'utf8').matchAll(/from '([^']+)'/g)) {
    const target = specifier.startsWith('.') ? relative(root, join(root, dirname(file), specifier)) : specifier;
    if (found.has(target)) continue;
    found.add(target);
    if (specifier.startsWith('.')) importsOf(target, found);
  }
  return found;
}

it.each(['wiring/record-events.ts', 'routes/explanations/explain.ts'])('%s does not depend on HTTP', (file) => {
  const imports = [...importsOf(file)];
  expect(imports.length).toBeGreaterThan(1);
  const ofHttp = imports.filter((one) =>
    /^(http|json)\/|hono|zod|(^|\/)problem\.ts$|-view\.ts$|server\.ts$|^node:http/.test(one),
  );
  expect(ofHttp).toEqual([]);
});
