/**
 * Tests of importing configs. Node itself imports them in a separate process, since a test runner would add its own
 * loader.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importConfig } from './load-config.ts';

const good = `import { defineConfig } from '@tandem/config/define-config';
const name: string = 'churn';
export default defineConfig({ predictors: { [name]: {
  model: './model.onnx', features: { sql: 'select user_id, visits from customers' }, outputs: { score: 'float32' },
} } });`;

const FILES: Record<string, string> = {
  'tandem.config.ts': good,
  'syntax.ts': 'export default {\n  predictors: {\n};\n',
  'enum.ts': '\nenum Kind { A }\nexport default {};\n',
  'no-default.ts': 'export const config = {};\n',
  'throws.ts': '\n\nexport default { predictors: absent };\n',
  'import.ts': "import { x } from './gone.ts';\nexport default x;\n",
  'nested.ts': "import './syntax.ts';\nexport default {};\n",
  'exits.ts': 'process.exit(0);\nexport default {};\n',
  'awaits.ts': 'await new Promise(() => {});\nexport default {};\n',
  'never.ts': 'export default await new Promise(() => {});\n',
  'killed.ts': "process.kill(process.pid, 'SIGKILL');\nexport default {};\n",
  'function.ts': 'export default { predictors: () => ({}) };\n',
  'timer.ts': `setInterval(() => {}, 1000);\n${good}`,
  'says.ts': `console.log('hello');\n${good}`,
};

let folder: string;
let told: Record<string, string>;
let printed: string;

beforeAll(async () => {
  // The folder is outside the project, with a space in its path and no node_modules above it.
  folder = await mkdtemp(join(tmpdir(), 'tandem config '));
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'model.onnx'), 'model');
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  const load = JSON.stringify(new URL('./load-config.ts', import.meta.url).href);
  const program = `
    const { loadConfig } = await import(${load});
    const told = {};
    for (const path of process.argv.slice(1)) {
      told[path] = await loadConfig(path).then((c) => 'loaded ' + c.file + ' ' + c.predictors.map((p) => p.name), (e) => e.message);
    }
    console.log(JSON.stringify(told));`;
  const paths = ['.', 'empty', 'gone.ts', ...Object.keys(FILES)];
  const arguments_ = ['--input-type=module', '--eval', program, ...paths];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, arguments_, { cwd: folder });
  told = JSON.parse(stdout);
  printed = stderr;
  // Each file needs a process, which takes long on a busy machine.
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

test('a config outside the project is loaded, by its path or by its folder', () => {
  expect(told['tandem.config.ts']).toBe(`loaded ${join(folder, 'tandem.config.ts')} churn`);
  expect(told['.']).toBe(told['tandem.config.ts']);
});

test('for a missing file, the error has its path and the way to create one', () => {
  expect(told['gone.ts']).toContain(`${join(folder, 'gone.ts')}: there is no such file`);
  expect(told.empty).toContain(`${join(folder, 'empty', 'tandem.config.ts')}: there is no such file`);
  expect(told['gone.ts']).toContain('export default defineConfig({');
});

test('a syntax error is reported with file and line, also in an imported file', () => {
  expect(told['syntax.ts']).toMatch(/syntax\.ts:[34]: syntax error: /);
  expect(told['nested.ts']).toMatch(/ config [^:]*syntax\.ts:[34]: syntax error: /);
});

test('unsupported TypeScript syntax is reported with the reason', () => {
  expect(told['enum.ts']).toContain('enum.ts:2: TypeScript enum is not supported');
  expect(told['enum.ts']).toContain('no enum, namespace or parameter property');
});

test('a missing default export is reported with the line to add', () => {
  expect(told['no-default.ts']).toContain('no-default.ts: has no default export');
  expect(told['no-default.ts']).toContain('export default defineConfig');
});

test('for a config that throws, the error has the line', () => {
  expect(told['throws.ts']).toContain('throws.ts:3: throws ReferenceError: absent is not defined');
});

test('a missing import is reported by name', () => {
  expect(told['import.ts']).toMatch(/import\.ts: cannot find module '.*gone\.ts'/);
});

test('a config that ends its process, or waits forever, does not affect the caller', () => {
  expect(told['exits.ts']).toContain('exits.ts: ended the process while it was loaded (exit code 0)');
  expect(told['awaits.ts']).toContain('awaits.ts: awaits a promise that never settles');
  expect(told['never.ts']).toContain('never.ts: awaits a promise that never settles');
  expect(printed).not.toContain('Warning');
});

test('a config whose process was killed before its deadline is not reported as a loop', () => {
  expect(told['killed.ts']).toContain(
    'killed.ts: was ended by SIGKILL while it was loaded: most likely there was not enough memory',
  );
});

test('a config that loops is reported at its deadline', async () => {
  const file = join(folder, 'loops.ts');
  await writeFile(file, 'for (;;);\nexport default {};\n');
  const imported = await importConfig(file, 500);
  expect(imported).toMatchObject({ ok: false, problem: { problem: expect.stringContaining('after 0.5 s: it loops') } });
});

test('a config with open handles or output is still loaded', () => {
  expect(told['timer.ts']).toContain('loaded ');
  expect(told['says.ts']).toContain('loaded ');
});

test('an export that is not plain data is reported', () => {
  expect(told['function.ts']).toContain('exports a value that is not plain data');
});
