/**
 * Tests the client in a worker on workerd, the runtime of Cloudflare Workers, against a real API. The worker is bundled
 * like by Wrangler. workerd is an npm package. If npm cannot install it here, the tests are skipped with the reason.
 */
import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { linearScore } from '@tandem/testing/onnx-models';
import { rolldown } from 'rolldown';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Application, createApplication, installProgram, root } from './application.ts';

const machine = `${platform()}-${arch() === 'x64' ? '64' : arch()}`;
const SPECIFIER = `@cloudflare/workerd-${machine}@1.20261117.1`;
const PROGRAM = `@cloudflare/workerd-${machine}/bin/workerd`;

/** The weights of the model in api.fixture.ts, whose user 5 has recency 50 and 5 orders. */
const WEIGHTS = [-0.1, 0.5];

let application: Application;
let workerd: Awaited<ReturnType<typeof installProgram>>;
const running: (() => Promise<void>)[] = [];

beforeAll(async () => {
  workerd = await installProgram('workerd', SPECIFIER, PROGRAM);
  application = await createApplication();
});
afterEach(() => Promise.all(running.splice(0).map((stop) => stop())));
afterAll(() => application?.close());

/** Serves a worker from a file in the application's folder. Returns the worker's address. */
async function serve(program: string, file: string): Promise<string> {
  const { folder, url, silentUrl } = application;
  const place = await mkdtemp(join(folder, 'worker-'));
  const bundle = await rolldown({ input: join(folder, file), platform: 'neutral' });
  await bundle.write({ file: join(place, 'worker.js') });
  await copyFile(join(import.meta.dirname, 'workerd.capnp'), join(place, 'workerd.capnp'));
  const env = { ...process.env, TANDEM_URL: url, TANDEM_KEY: 'unused', SILENT_URL: silentUrl };
  const stdio = ['ignore', 'inherit', 'inherit', 'pipe'] as const;
  const child = spawn(program, ['serve', 'workerd.capnp', '--control-fd=3'], { cwd: place, env, stdio: [...stdio] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  running.push(async () => {
    child.kill();
    await ended;
  });
  for await (const line of createInterface({ input: child.stdio[3] as Readable })) {
    const { event, port } = JSON.parse(line);
    if (event === 'listen') return `http://127.0.0.1:${port}`;
  }
  throw new Error('workerd ended before it listened');
}

it('the client’s consumer runs in a worker', async ({ skip }) => {
  if (workerd.path === null) return skip(workerd.problem);
  const worker = await serve(workerd.path, 'worker.mjs');
  expect(await (await fetch(`${worker}/consume`)).text()).toBe('OK');
});

it('requests of a worker share a client, and each is answered independently of the others', async ({ skip }) => {
  if (workerd.path === null) return skip(workerd.problem);
  const worker = await serve(workerd.path, 'worker.mjs');
  const users = Array.from({ length: 45 }, (_, i) => String((i % 9) + 1));
  const answers = users.map(async (user, i) => {
    if (i % 3 === 0) await fetch(`${worker}/leave?user=${user}`).then((left) => left.text());
    const response = await fetch(`${worker}/read?user=${user}`);
    return response.ok ? ((await response.json()) as { userId: string }).userId : response.status;
  });
  expect(await Promise.all(answers)).toEqual(users);
});

it('the worker of docs/client.md runs: a read after an order sees the order', async ({ skip }) => {
  if (workerd.path === null) return skip(workerd.problem);
  const docs = await readFile(join(root, 'docs/client.md'), 'utf8');
  const [, code = ''] = /^```ts\n\/\/ src\/worker\.ts\n(.*?)^```$/ms.exec(docs) ?? [];
  await writeFile(join(application.folder, 'documented.ts'), code.replaceAll("'churn'", "'repurchase'"));
  const worker = await serve(workerd.path, 'documented.ts');
  const ask = async (init: RequestInit) => (await fetch(worker, { headers: { 'x-user-id': '5' }, ...init })).json();
  expect(await ask({})).toMatchObject({ score: expect.closeTo(linearScore(WEIGHTS, 0, [50, 5]), 5) });
  const order = { method: 'POST', body: JSON.stringify({ orders: 9 }) };
  expect(await ask(order)).toEqual({ score: expect.closeTo(linearScore(WEIGHTS, 0, [50, 9]), 5), source: 'live' });
  expect((await fetch(worker)).status).toBe(401);
});
