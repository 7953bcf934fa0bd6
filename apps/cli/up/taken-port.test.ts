import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { run } from '../program.fixture.ts';

test('a port in use is rejected with a choice that works in a clone and in an installed folder', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'tandem-port-'));
  onTestFinished(() => rm(cwd, { recursive: true }));
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const { code, err } = await run(`up --example --port ${port}`, { cwd });
  expect(code).toBe(1);
  expect(err).toContain(`port ${port} (PORT) is in use`);
  expect(err).toContain(`choose another port: --port ${port + 1}, or PORT=${port + 1} in the environment`);
  const ofNpm = await run(`up --example --port ${port}`, { cwd, env: { npm_lifecycle_event: 'start' } });
  expect(ofNpm.err).toContain(`choose another port: npm start -- --port ${port + 1}, or PORT=${port + 1}`);
});
