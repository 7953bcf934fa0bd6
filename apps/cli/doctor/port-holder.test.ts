import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { findPortHolder } from './port-holder.ts';

// Elsewhere than on Linux the answer is always that it cannot be told.
const isLinux = process.platform === 'linux';

test('who holds a port is named, as long as it is held', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const holder = findPortHolder(port);
  await new Promise((resolve) => server.close(resolve));
  if (isLinux) expect(holder).toContain(`process ${process.pid} (`);
  else expect(holder).toBeUndefined();
  expect(findPortHolder(port)).toBeUndefined();
});
