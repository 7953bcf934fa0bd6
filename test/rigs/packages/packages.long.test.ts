/**
 * Tests the published packages as a new user meets them. A registry has the packages. The user has Node, a Postgres
 * with a table and an ONNX file, but no clone and no root rights. Prints the seconds and megabytes that the steps take.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '@tandem/local-servers/ports';
import { createPool } from '@tandem/offline-store/sql/database';
import { createEmptyDatabase, type TestDatabase } from '@tandem/testing/databases';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { provideNode } from '../matrix/nodes.ts';
import { createNewcomer, type Newcomer } from './newcomer.ts';
import { type Registry, startRegistry } from './registry.ts';
import { mustRun, provideTool, root } from './tools.ts';

const packages = join(root, '.tandem/packages');
const PUBLISHED = ['tandem', 'client', 'embedded'];
const WEIGHTS = [0.5, -1];

let scratch: string;
/** The output of `npm run packages`. */
let built: string;
let registry: Registry;
let database: TestDatabase;
const newcomers: Newcomer[] = [];

/** Returns the line of docs/install.md with this beginning, with the port of this test. */
function documented(beginning: string, port = 8080): string {
  const page = readFileSync(join(root, 'docs/install.md'), 'utf8');
  const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  const line = blocks.flatMap((code) => code.split('\n')).find((one) => one.startsWith(beginning));
  if (line === undefined) throw new Error(`docs/install.md has no command ${beginning}`);
  return line.replace(':8080', `:${port}`);
}

function arrive(node: string, env: Record<string, string> = {}, { url } = registry): Newcomer {
  const newcomer = createNewcomer({ registry: url, node, env });
  newcomers.push(newcomer);
  return newcomer;
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'tandem registry-'));
  built = await mustRun('sh', ['-c', documented('npm run packages')], { cwd: root });
  registry = await startRegistry(scratch);
  const folders = readdirSync(packages).filter((name) => PUBLISHED.includes(name) || name.startsWith('onnxruntime-'));
  for (const name of folders) await registry.publish(join(packages, name));
  database = await createEmptyDatabase(inject('databaseUrl'));
  const pool = createPool({ url: database.url, max: 1, applicationName: 'newcomer' });
  await pool.query(`create table customers (customer_id int primary key, logins int not null, spent float8 not null);
    insert into customers select i, i % 7, i / 10.0 from generate_series(1, 200) i`);
  await pool.end();
}, 600_000);

afterAll(async () => {
  for (const newcomer of newcomers) newcomer.remove();
  await registry?.stop();
  await database?.drop();
  rmSync(scratch, { recursive: true, force: true });
});

describe.each(PUBLISHED)('%s', (name) => {
  const folder = join(packages, name);

  test('publint and arethetypeswrong find nothing', async () => {
    const publint = await provideTool('publint', 'src/cli.js');
    await mustRun(process.execPath, [publint, folder, '--strict', '--pack', 'npm']);
    const attw = await provideTool('@arethetypeswrong/cli', 'dist/index.js');
    // Subpaths need a `moduleResolution` that reads export maps, and a Node that can require() ESM.
    await mustRun(process.execPath, [attw, '--pack', folder, '--profile', 'esm-only'], { cwd: scratch });
  });

  test('has no TypeScript except declarations, no tests, no install script, and states its licence', () => {
    const files = readdirSync(folder, { recursive: true }).map(String);
    expect(files.filter((file) => /(?<!\.d)\.ts$|\.(test|fixture)\./.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE']));
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({ license: 'MIT', type: 'module' });
    expect(manifest.scripts).toBeUndefined();
  });
});

describe('three commands in an empty folder', () => {
  let newcomer: Newcomer;
  let port: number;
  let up: ReturnType<Newcomer['start']>;

  beforeAll(async () => {
    newcomer = arrive(process.execPath, { DATABASE_URL: database.url });
    newcomer.write('churn.onnx', linearModel({ weights: WEIGHTS, bias: 0.1 }));
    port = await findFreePort();
  });
  afterAll(() => up?.end('SIGTERM'));

  test('init, up and curl give a certified prediction of the reader’s own model', async () => {
    const begin = performance.now();
    const seconds = () => ((performance.now() - begin) / 1000).toFixed(1);
    await newcomer.run('sh', '-c', documented('npx tandem init'));
    const written = seconds();
    up = newcomer.start('sh', '-c', `exec ${documented('npx tandem up')} --port ${port}`);
    await expect.poll(() => up.output(), { timeout: 120_000 }).toMatch(/Ctrl-C stops everything/);
    const ready = seconds();
    const answer = JSON.parse(await newcomer.run('sh', '-c', documented('curl ', port)));
    expect(answer).toMatchObject({ source: 'batch', reason: 'fresh', generation: '1' });
    expect(answer.prediction.score).toBeCloseTo(linearScore(WEIGHTS, 0.1, [0, 4.2]), 5);
    const size = await newcomer.sizeOf(newcomer.npxFolder());
    process.stdout.write(
      `init ${written} s, up ready ${ready} s, first read ${seconds()} s; tandem takes ${size} MB\n`,
    );
  });

  const CONSUMER = {
    client: `import { createClient } from '@tandem/client/create-client';
const client = createClient({ url: 'http://127.0.0.1:PORT' });
const { answer } = await client.predict('churn', '13');
console.log(JSON.stringify(answer));
`,
    embedded: `import { createTandem } from '@tandem/embedded';
const tandem = await createTandem({ database: 'DATABASE', redis: 'REDIS', logLevel: 'error' });
const stored = await tandem.read('churn', '13');
const { predictions } = await tandem.infer('churn', [{ features: { logins: 1, spent: 2 } }]);
console.log(JSON.stringify({ ...stored, inferred: predictions[0] }));
await tandem.close();
`,
  };

  test.each(['client', 'embedded'] as const)(
    '@tandem/%s compiles for NodeNext and bundlers, and runs',
    async (name) => {
      const consumer = arrive(process.execPath);
      const { redisUrl } = JSON.parse(readFileSync(join(newcomer.folder, '.tandem/running.json'), 'utf8'));
      const text = CONSUMER[name]
        .replace('PORT', String(port))
        .replace('DATABASE', database.url)
        .replace('REDIS', redisUrl);
      consumer.write('consumer.ts', text);
      consumer.write('package.json', JSON.stringify({ type: 'module', private: true }));
      await consumer.run('npm', 'install', `@tandem/${name}`, '@types/node@24');
      await compile(consumer, { module: 'esnext', moduleResolution: 'bundler' });
      await compile(consumer, { module: 'nodenext' });
      const printed = JSON.parse(await consumer.run('node', 'consumer.js'));
      expect(printed).toMatchObject({ source: 'batch', reason: 'fresh' });
      process.stdout.write(`@tandem/${name} takes ${await consumer.sizeOf(`work/node_modules/@tandem/${name}`)} MB, `);
      process.stdout.write(`with its dependencies ${await consumer.sizeOf('work/node_modules')} MB\n`);
    },
  );
});

describe('without a server', () => {
  test('up --example starts its own Postgres as a user without rights', async () => {
    const newcomer = arrive(process.execPath);
    const port = await findFreePort();
    await newcomer.run('sh', '-c', documented('npm install tandem'));
    const up = newcomer.start('npx', 'tandem', 'up', '--example', '--port', String(port));
    await expect.poll(() => up.output(), { timeout: 120_000 }).toMatch(/Ctrl-C stops everything/);
    expect(up.output()).not.toContain('npm run');
    const answer = await newcomer.run('curl', '-s', `http://127.0.0.1:${port}/v1/predictions/repurchase/42`);
    expect(JSON.parse(answer)).toMatchObject({ source: 'batch', reason: 'fresh' });
    await up.end('SIGTERM');
    expect(up.output()).toContain('stopped; the data are kept in .tandem/');
  });
});

describe('before the packages are on npm', () => {
  let other: { readonly folder: string; readonly registry: Registry };
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tandem registry-'));
    other = { folder, registry: await startRegistry(folder) };
  });
  afterAll(async () => {
    await other?.registry.stop();
    if (other) rmSync(other.folder, { recursive: true, force: true });
  });

  test('the commands that the build prints install the packages from their folders', async () => {
    const newcomer = arrive(process.execPath, { DATABASE_URL: database.url }, other.registry);
    const commands = built.split('\n').filter((line) => /^ +npm install --install-links /.test(line));
    expect(commands).toHaveLength(PUBLISHED.length);
    for (const command of commands) await newcomer.run('sh', '-c', command);
    for (const name of ['@tandem/client', '@tandem/embedded']) {
      await newcomer.run('node', '--input-type=module', '--eval', `await import('${name}')`);
    }
    newcomer.write('churn.onnx', linearModel({ weights: WEIGHTS, bias: 0.1 }));
    await newcomer.run('sh', '-c', documented('npx tandem init'));
    expect(await newcomer.run('npx', 'tandem', 'check')).toMatch(/ok +churn model +features float32/);
  });

  test('a folder inside the clone has the command without an install', async () => {
    const folder = mkdtempSync(join(root, '.tandem/mine-'));
    try {
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
      expect(await mustRun('npx', ['tandem', '--version'], { cwd: folder })).toBe(`${version}\n`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

async function compile(consumer: Newcomer, options: Record<string, string>): Promise<void> {
  const compilerOptions = { ...options, target: 'es2024', strict: true, skipLibCheck: false, types: ['node'] };
  consumer.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
  await mustRun(join(root, 'node_modules/.bin/tsc'), ['-p', join(consumer.folder, 'tsconfig.json')]);
}

test('Node 20 runs the command by fetching a newer Node once', async () => {
  const { program } = await provideNode('20.19.5', join(root, '.tandem/matrix'));
  const newcomer = arrive(program, { DATABASE_URL: database.url });
  expect(await newcomer.run('node', '--version')).toMatch(/^v20\./);
  const { version } = JSON.parse(readFileSync(join(packages, 'tandem/package.json'), 'utf8'));
  expect(await newcomer.run('npx', '--yes', 'tandem', '--version')).toBe(`${version}\n`);
  const begin = performance.now();
  expect(await newcomer.run('npx', '--yes', 'tandem', '--version')).toBe(`${version}\n`);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  newcomer.write('churn.onnx', linearModel({ weights: WEIGHTS, bias: 0.1 }));
  // `init` writes TypeScript, and `check` imports it.
  await newcomer.run('sh', '-c', documented('npx tandem init'));
  expect(await newcomer.run('npx', '--yes', 'tandem', 'check')).toContain('no problems found');
  process.stdout.write(`on Node 20, the second command takes ${seconds} s\n`);
});
