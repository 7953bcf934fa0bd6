import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RELEASE } from '@tandem/telemetry/release';
import { describe, expect, it } from 'vitest';
import { PACKAGES, readPackageJson, root, VERSION } from './plans.ts';
import { findReferences, replaceReferences } from './references.ts';
import { findWorkspaceFile } from './workspaces.ts';

describe('references', () => {
  const code = `import { a } from './a.ts';
export type { B } from "@tandem/freshness/judge";
const text = \`
import { defineConfig } from 'tandem';
\`;
const c = await import('./c.ts');
const d = new URL('./d.ts', import.meta.url);
const e = new URL(\`../\${name}.ts\`, import.meta.url);
const f: import('./f.ts').F = 1;
`;

  it('finds imports, exports, types and files, and ignores text in strings', () => {
    const found = findReferences('x.ts', code).map(({ kind, value }) => [kind, value]);
    expect(found).toEqual([
      ['module', './a.ts'],
      ['module', '@tandem/freshness/judge'],
      ['module', './c.ts'],
      ['file', './d.ts'],
      ['file', null],
      ['module', './f.ts'],
    ]);
  });

  it('replaces them, and leaves everything else', () => {
    const upper = replaceReferences(code, findReferences('x.ts', code), ({ value }) => value?.toUpperCase() ?? null);
    expect(upper).toBe(code.replace(/\.\/[acdf]\.ts|@tandem\/[\w/]+/g, (one) => one.toUpperCase()));
  });
});

describe('packages', () => {
  it('has entries that exist', () => {
    const entries = PACKAGES.flatMap((plan) => [...Object.values(plan.exports), ...plan.programs]);
    for (const entry of entries) expect(readFileSync(join(root, entry), 'utf8')).not.toBe('');
    expect(findWorkspaceFile('@tandem/embedded')).toBe('libs/extensions/embedded/create-tandem.ts');
    expect(findWorkspaceFile('pino')).toBeNull();
  });

  it('has one version everywhere', () => {
    const folders = globSync('{apps,libs,libs/extensions}/*/package.json', { cwd: root }).map(dirname);
    expect(folders.length).toBeGreaterThan(20);
    const versions = folders.map((folder) => [folder, readPackageJson(folder).version]);
    expect(versions).toEqual(folders.map((folder) => [folder, VERSION]));
    expect(RELEASE).toBe(VERSION);
  });
});
