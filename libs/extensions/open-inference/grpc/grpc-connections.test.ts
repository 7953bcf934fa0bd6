/** Tests of the connection limit, with real sockets and a clock that the test sets. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GrpcConnections } from './grpc-connections.ts';

let now = 0;
let server: Server;
let connections: GrpcConnections;
const clients: Socket[] = [];

beforeEach(async () => {
  now = 0;
  connections = new GrpcConnections({ most: 2, idleMs: 30_000, takingMs: 8_000, now: () => now });
  server = createServer((socket) => connections.take(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  server.close();
});

/** Connects. Returns the client, its address as the server sees it, and a promise for its close. */
async function come() {
  const accepted = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  clients.push(client);
  const closed = once(
    client.resume().on('error', () => {}),
    'close',
  );
  await accepted;
  return { client, closed, peer: `127.0.0.1:${client.localPort}` };
}

describe('at the connection limit, a new connection', () => {
  it('replaces the connection that has been without a call for longest', async () => {
    const first = await come();
    now++;
    const second = await come();
    const call = connections.begin(first.peer);
    now++;
    call.answered();
    call.over();
    await come();
    await second.closed;
    expect(connections.open.size).toBe(2);
    expect(first.client.destroyed).toBe(false);
  });

  it('is closed if each connection has a waiting call', async () => {
    for (const { peer } of [await come(), await come()]) connections.begin(peer);
    const third = await come();
    await third.closed;
    expect(connections.open.size).toBe(2);
  });
});

describe('a connection that', () => {
  it('exceeds the time limit without a call', async () => {
    const { closed } = await come();
    now = 30_000;
    connections.look();
    expect(connections.open.size).toBe(1);
    now++;
    connections.look();
    await closed;
    expect(connections.open.size).toBe(0);
  });

  it('does not read its answer or end its call, even if it sends another call', async () => {
    const { closed, peer } = await come();
    connections.begin(peer).answered();
    now = 8_001;
    connections.begin(peer);
    connections.look();
    await closed;
  });

  it('is not closed while it waits for an answer', async () => {
    const { peer } = await come();
    const call = connections.begin(peer);
    now = 100_000;
    connections.look();
    call.answered();
    call.over();
    connections.look();
    expect(connections.open.size).toBe(1);
  });
});
