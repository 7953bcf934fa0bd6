/** Compiles every TypeScript block of docs/client.md with the types that `tandem types` writes for its predictors. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../program.fixture.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DOCS = readFileSync(join(ROOT, 'docs/client.md'), 'utf8');

const CONFIG = `
const features = { sql: 'select customer_id as user_id, visits from customers' };
const amount = { type: 'number', min: 0 };
const channel = { type: 'string', categories: ['web', 'app'], default: 'web' };
export default {
  predictors: {
    churn: { model: './churn.onnx', features, outputs: { score: 'float32' } },
    checkout: { model: './checkout.onnx', features, request: { amount, channel }, outputs: { risk: 'float32' } },
  },
};`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-client-docs-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tandem.config.ts'), CONFIG);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Returns the blocks of a language. */
function blocksOf(language: string): string[] {
  return [...DOCS.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, block = '']) => block);
}

test('the TypeScript blocks compile unchanged', async () => {
  await run('types --out src/tandem.types.ts', { cwd: folder });
  const files = blocksOf('ts').map((block, i) => /^\/\/ (src\/\S+)\n/.exec(block)?.[1] ?? `src/block-${i}.ts`);
  expect(files.length).toBeGreaterThan(8);
  for (const [i, block] of blocksOf('ts').entries()) writeFileSync(join(folder, files[i] ?? ''), block);
  const compilerOptions = {
    ...{ target: 'es2024', lib: ['es2024', 'dom', 'dom.iterable'], module: 'nodenext', types: [], strict: true },
    ...{ noUncheckedIndexedAccess: true, noEmit: true, allowImportingTsExtensions: true, skipLibCheck: true },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
  expect(stdout).toBe('');
});

test('the commands of Tandem run unchanged', async () => {
  const lines = blocksOf('sh').flatMap((block) => block.trim().split('\n'));
  const commands = lines.filter((line) => line.startsWith('npx tandem '));
  expect(commands.length).toBeGreaterThan(1);
  for (const command of commands) {
    expect(await run(command.slice('npx tandem '.length), { cwd: folder }), command).toMatchObject({ code: 0 });
  }
});
