/**
 * Checks that each TypeScript block of the docs compiles and each Python block parses. A page's blocks without imports
 * form one module.
 */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root } from '../architecture/source-tree.ts';
import { documentedBlocks, placeOf } from './documented-blocks.ts';
import type { Block } from './markdown.ts';

const run = promisify(execFile);
/** A folder inside the project, so that its packages are found. */
const folder = join(root, '.tandem/docs-blocks');
const PREDICTOR =
  /^(model|features|request|inputs|outputs|rowByRow|freshness|batch|decision|segments|publish|explanations): /;
const blocks = documentedBlocks().filter(({ mark }) => mark === null);
const typescript = blocks.filter(({ language }) => language === 'ts');
const python = blocks.filter(({ language }) => language === 'py');

beforeAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it(`compiles ${typescript.length} blocks of TypeScript`, async () => {
  expect(typescript.length).toBeGreaterThan(10);
  for (const [i, code] of modulesOf(typescript).entries()) await writeFile(join(folder, `block-${i}.ts`), code);
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { lib: ['es2024', 'dom'], noUnusedLocals: false },
      include: ['*.ts', '../../libs/**/*.d.ts'],
      exclude: [],
    }),
  );
  const { stdout } = await run('tsc', ['-p', folder, '--checkers', '1']).catch((error: { stdout: string }) => error);
  expect(stdout).toBe('');
});

it(`parses ${python.length} blocks of Python`, async () => {
  expect(python.length).toBeGreaterThan(2);
  const parse = 'import ast, sys; ast.parse(sys.argv[1])';
  for (const { code } of python) await run('python3', ['-c', parse, code]);
});

/** Returns the modules of all blocks, with the place of each block in a comment. */
function modulesOf(all: readonly Block[]): string[] {
  const modules: { page: string; code: string }[] = [];
  for (const block of all) {
    const code = `// ${placeOf(block)}\n${isFragment(block.code) ? wrap(block.code) : block.code}`;
    const last = modules.at(-1);
    const continues = !isFragment(block.code) && !/^import /m.test(block.code) && last?.page === block.page;
    if (continues && last) last.code += code;
    else modules.push({ page: block.page, code });
  }
  return modules.map(({ code }) => `${code}\nexport {};\n`);
}

/** Returns whether code is part of a config: it begins with a setting or with the name of a predictor. */
const isFragment = (code: string) => /^\w+: /.test(code);

function wrap(code: string): string {
  const types = `import type { PredictorConfig } from '@tandem/config/define-config';\n`;
  if (!PREDICTOR.test(code)) return `${types}export const predictors: Record<string, PredictorConfig> = {\n${code}};\n`;
  const base = `const base = { model: 'm.onnx', features: { sql: '' }, outputs: { score: 'float32' } } as const;\n`;
  return `${types}${base}export const predictor: PredictorConfig = { ...base,\n${code}};\n`;
}
