/** Compiles applications that use the client, in a folder where Zod is not installed. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderClientTypes } from './client-types.ts';
import { type PackageJson, root } from './plans.ts';

const CONFIG = {
  compilerOptions: {
    ...{ target: 'es2024', lib: ['es2024', 'dom', 'dom.iterable'], module: 'nodenext', types: [] },
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, allowImportingTsExtensions: true },
    ...{ verbatimModuleSyntax: true, skipLibCheck: false },
  },
};

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-consumer-'));
  const packages = join(folder, 'node_modules/@tandem');
  mkdirSync(packages, { recursive: true });
  const isTheirs = (path: string) => !/\.(test|fixture)\.ts$|node_modules|\.turbo/.test(path.slice(root.length));
  const clientTypes = await renderClientTypes();
  const extensions = globSync('extensions/*/client.ts', { cwd: join(root, 'libs') }).map(dirname);
  for (const lib of ['client', 'freshness', 'transport', ...extensions]) {
    const copy = join(packages, basename(lib));
    cpSync(join(root, 'libs', lib), copy, { recursive: true, filter: isTheirs });
    if (existsSync(join(copy, 'wire-types.ts'))) writeFileSync(join(copy, 'wire-types.ts'), clientTypes);
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Compiles applications in one run, since a run takes seconds. Returns one line for each error. */
function compile(applications: string | readonly string[], options: object = {}): string[] {
  const compilerOptions = { ...CONFIG.compilerOptions, ...options };
  const files = [applications].flat().map((application, i) => {
    writeFileSync(join(folder, `application-${i}.ts`), application);
    return `application-${i}.ts`;
  });
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes('error TS'));
}

const APPLICATION = `
import { createClient } from '@tandem/client/create-client';
import { isProblem } from '@tandem/client';
import type { AnalysisInput, RolloutInput } from '@tandem/client/wire';
import type { PredictionAnswer, Run } from '@tandem/client/wire';

const tandem = createClient({ url: 'http://127.0.0.1:8080' });
export async function score(userId: string): Promise<number> {
  const { answer } = await tandem.predict('repurchase', userId, { maxAge: 60 });
  const { source, prediction, contextVersion }: PredictionAnswer = answer;
  return source === 'default' || contextVersion === null ? 0 : Number(prediction.score);
}
const steps = Object.freeze([5, 100]);
const analysis: AnalysisInput = { minStep: '10m', outcomes: [{ name: 'order' }] };
export const plan: RolloutInput = { kind: 'canary', version: '3', steps, analysis };
export async function start(): Promise<Run> {
  await tandem.sendEvents(Object.freeze([{ subject: '42', type: 'order.placed', data: { orders: 4 } }]));
  await tandem.rollouts.start('repurchase', plan).catch((error: unknown) => isProblem(error, 'rollout_conflict'));
  return tandem.runs.start({ predictor: 'repurchase', scope: { userIds: ['42'] } });
}
`;

test('an application compiles without Zod, also with type checks of the libraries', () => {
  expect(compile(APPLICATION)).toEqual([]);
});

test('it also compiles without the strictest options', () => {
  expect(compile(APPLICATION, { exactOptionalPropertyTypes: false })).toEqual([]);
});

test('an application with a name that the wire does not have does not compile', () => {
  const wrong = [
    ['answer;', 'answer; answer.contextversion;', "Property 'contextversion' does not exist"],
    ["source === 'default'", "source === 'cache'", 'have no overlap'],
    ["minStep: '10m'", "minSteps: '10m'", "'minSteps' does not exist"],
    ["kind: 'canary'", "kind: 'canaries'", 'canaries'],
    ["version: '3'", 'version: 3', "Type 'number' is not assignable to type 'string'"],
    ["scope: { userIds: ['42'] }", "scope: 'everyone'", 'everyone'],
  ] as const;
  for (const [right] of wrong) expect(APPLICATION).toContain(right);
  const errors = compile(wrong.map(([right, mistake]) => APPLICATION.replace(right, mistake)));
  for (const [i, [, mistake, message]] of wrong.entries()) {
    const own = errors.filter((line) => line.includes(`application-${i}.ts`));
    expect(own.join('\n'), mistake).toContain(message);
  }
});

test('an application can import only the entry points of the client', () => {
  const inner = ['wire-types', 'transport', 'watch-run'].map((name) => `@tandem/client/${name}`);
  const errors = compile(inner.map((specifier) => `import '${specifier}';`).join('\n')).join();
  for (const specifier of inner) expect(errors).toContain(`'${specifier}'`);
});

test('the files that the client reaches import only one another', () => {
  const packages = join(folder, 'node_modules/@tandem');
  const reached = new Set([join(packages, 'client/index.ts'), ...readEntries(join(packages, 'client'))]);
  const foreign = [];
  for (const file of reached) {
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
      /(?:^import |\bfrom |\bimport\()'([^']+)'/gm,
    )) {
      const own = specifier.startsWith('.')
        ? join(dirname(file), specifier)
        : `${join(packages, specifier.replace('@tandem/', ''))}.ts`;
      if (existsSync(own)) reached.add(own);
      else foreign.push(`${file}: ${specifier}`);
    }
  }
  expect(foreign).toEqual([]);
  expect(reached).toContain(join(packages, 'freshness/assignment.ts'));
  expect(reached).toContain(join(packages, 'outcomes/client.ts'));
});

function readEntries(copy: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as PackageJson;
  return Object.values(exports ?? {}).map((file) => join(copy, file));
}
