import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { findFreePort, isPortFree } from './ports.ts';

it('finds free ports below the range of outgoing connections', async () => {
  const port = await findFreePort();
  expect(await isPortFree(port)).toBe(true);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  expect(await isPortFree(port)).toBe(false);
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  const { port: outgoing } = client.address() as AddressInfo;
  expect(outgoing).toBeGreaterThan(32_767);
  client.destroy();
  server.close();
});
