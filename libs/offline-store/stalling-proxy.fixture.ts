/** A proxy that can stop answering, for tests of a Postgres that hangs. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Forwards bytes to Postgres until `stall`. Then it accepts bytes but answers nothing, like a stopped server. */
export async function startProxy(target: URL) {
  let stalled = false;
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {}).on('close', () => sockets.delete(client));
    if (stalled) return;
    const upstream = connect(Number(target.port), target.hostname);
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.on('data', (bytes) => stalled || upstream.write(bytes));
    upstream.on('data', (bytes) => stalled || client.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String(typeof address === 'object' ? address?.port : 0);
  return {
    url: url.href,
    stall: (value: boolean) => {
      stalled = value;
    },
    connections: () => sockets.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
