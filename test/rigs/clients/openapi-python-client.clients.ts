/**
 * Tests the Python client that openapi-python-client generates from our OpenAPI document. It must be generated without
 * a warning. It is installed as docs/client.md says, and used by the program on that page.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestApi } from '../../../apps/api/api.fixture.ts';
import { createCheckoutApi } from '../../../apps/api/checkout.fixture.ts';
import { type RunningServer, startServer } from '../../../apps/api/server.ts';

const run = promisify(execFile);
const here = import.meta.dirname;
const root = join(here, '../../..');
const environment = join(root, '.tandem/clients/openapi');
const python = join(environment, 'bin/python');
const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];

let api: TestApi;
let http: RunningServer;
let folder: string;

beforeAll(async () => {
  if (!existsSync(python)) await run('python3', ['-m', 'venv', environment]);
  await run(python, [...pip, '--requirement', join(here, 'requirements-openapi.txt')]);
  folder = await mkdtemp(join(tmpdir(), 'tandem-python-'));
  api = await createCheckoutApi();
  http = await startServer({ host: '127.0.0.1', port: 0, fetch: api.app.fetch });
});

afterAll(async () => {
  await http?.close(0);
  await api?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Returns the program of the docs, with the address and the predictors of the test. */
async function documentedProgram(url: string): Promise<string> {
  const docs = await readFile(join(root, 'docs/client.md'), 'utf8');
  const [, program = ''] = /^```py\n(.*?)^```$/ms.exec(docs) ?? [];
  return program
    .replaceAll('http://127.0.0.1:8080', url)
    .replaceAll('"churn"', '"repurchase"')
    .replaceAll('"risk"', '"amount"')
    .replaceAll('"42"', '"2"');
}

it('is generated without a warning, and reads, ranks and sends events', async () => {
  const url = `http://127.0.0.1:${http.port}`;
  const generated = join(folder, 'tandem_python');
  const generate = ['generate', '--url', `${url}/openapi.json`, '--output-path', generated, '--fail-on-warning'];
  // The generator formats with the ruff of its environment, which must be on the PATH.
  const env = { ...process.env, PATH: `${join(environment, 'bin')}:${process.env.PATH}` };
  const { stdout, stderr } = await run('openapi-python-client', generate, { cwd: folder, env });
  expect(stdout + stderr).not.toMatch(/warning/i);
  await run(python, [...pip, '--force-reinstall', '--no-deps', generated]);

  await writeFile(join(folder, 'program.py'), await documentedProgram(url));
  const said = (await run(python, [join(folder, 'program.py')])).stdout;
  expect(said).toMatch(/^live 0\.\d+\n\['card', 'invoice'\]\n$/);
});
