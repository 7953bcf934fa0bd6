import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderClientTypes } from './client-types.ts';
import { root } from './plans.ts';

/** Compiles a module, with the rendered types beside it as `written.ts`. Returns the errors. */
async function compile(code: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-types-'));
  try {
    writeFileSync(join(folder, 'written.ts'), await renderClientTypes());
    writeFileSync(join(folder, 'compare.ts'), code);
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const config = { extends: join(root, 'tsconfig.json'), include: ['compare.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...config, compilerOptions: { types: [] } }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
    return stdout.split('\n').filter((line) => line.includes('error TS'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const IMPORTS = `import type * as Derived from '${join(root, 'libs/client/wire-types.ts')}';\nimport type * as Written from './written.ts';\n`;

function sameType(derived: string, written = derived): string {
  return `export const ${derived}: [(one: Derived.${derived}) => Written.${written}, (one: Written.${written}) => Derived.${derived}] = [(one) => one, (one) => one];`;
}

test('each type that the client derives is the type that its package carries', async () => {
  const modules = globSync('libs/**/wire-types.ts', { cwd: root, exclude: ['**/node_modules'] });
  const names = modules.flatMap((path) =>
    [...readFileSync(join(root, path), 'utf8').matchAll(/^export type (\w+) = /gm)].map(([, name = '']) => name),
  );
  expect(names.length).toBeGreaterThan(50);
  expect(await compile(IMPORTS + names.map((name) => sameType(name)).join('\n'))).toEqual([]);
});

test('control: a different type is found', async () => {
  const errors = await compile(IMPORTS + sameType('Model', 'ModelDetail'));
  expect(errors.join()).toContain("missing the following properties from type 'ModelDetail'");
});
