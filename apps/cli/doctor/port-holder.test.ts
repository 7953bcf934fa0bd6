import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { findPortHolder } from './port-holder.ts';

// On other systems than Linux the process is always unknown.
const isLinux = process.platform === 'linux';

test('names the process that listens on a port, as long as it listens', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const holder = findPortHolder(port);
  await new Promise((resolve) => server.close(resolve));
  if (isLinux) expect(holder).toContain(`process ${process.pid} (`);
  else expect(holder).toBeUndefined();
  expect(findPortHolder(port)).toBeUndefined();
});
