/**
 * Tests the Open Inference Protocol with Triton's own client over HTTP and gRPC: several inputs and outputs, every
 * element type, empty and large batches, both views. tritonclient_suite.py has the calls and checks.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HttpServer } from '@tandem/http-server/server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestApi } from '../../../../apps/api/api.fixture.ts';
import { startServer } from '../../../../apps/api/server.ts';
import { start } from '../grpc/port.ts';
import { createOpenApi, ZOO } from '../models/open-api.fixture.ts';

const run = promisify(execFile);
const here = import.meta.dirname;
const environment = join(here, '../../../../.tandem/clients');
const python = join(environment, 'bin/python');

let api: TestApi;
let http: HttpServer;
let grpc: HttpServer;

beforeAll(async () => {
  if (!existsSync(python)) await run('python3', ['-m', 'venv', environment]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--requirement', join(here, 'requirements.txt')]);
  api = await createOpenApi();
  const local = { host: '127.0.0.1', port: 0 };
  http = await startServer({ ...local, fetch: api.app.fetch });
  grpc = await start(api.dependencies.app, { ...local, connections: 16 });
});

afterAll(async () => {
  await Promise.all([http?.close(0), grpc?.close(0)]);
  await api?.close();
});

it.each([
  ['HTTP', 'Http'],
  ['gRPC', 'Grpc'],
])('tritonclient over %s', async (_, suite) => {
  const program = join(here, 'tritonclient_suite.py');
  const env = { ...process.env, HTTP_PORT: String(http.port), GRPC_PORT: String(grpc.port), ZOO: JSON.stringify(ZOO) };
  // unittest reports on stderr. If a check fails, execFile rejects with both outputs.
  const { stderr } = await run(python, [program, '-v', suite], { env });
  expect(stderr).toMatch(/^OK$/m);
});
