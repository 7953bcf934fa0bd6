/** Places of connections, with real sockets; the time is the test's. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGrpcConnections, type GrpcConnections } from './grpc-connections.ts';

let now = 0;
let server: Server;
let connections: GrpcConnections;
const clients: Socket[] = [];

beforeEach(async () => {
  now = 0;
  connections = createGrpcConnections({ most: 2, idleMs: 30_000, takingMs: 8_000, now: () => now });
  server = createServer((socket) => connections.take(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  server.close();
});

/** Connects, and returns the client's end with what the server calls it, and when it is closed. */
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

describe('when all places are taken, a newcomer', () => {
  it('replaces the connection that has been longest without a call', async () => {
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

  it('is closed where each connection has a call that waits', async () => {
    for (const { peer } of [await come(), await come()]) connections.begin(peer);
    const third = await come();
    await third.closed;
    expect(connections.open.size).toBe(2);
  });
});

describe('a connection is closed that', () => {
  it('stays without a call for longer than it may', async () => {
    const { closed } = await come();
    now = 30_000;
    connections.look();
    expect(connections.open.size).toBe(1);
    now++;
    connections.look();
    await closed;
    expect(connections.open.size).toBe(0);
  });

  it('does not take an answer, or does not end its call, though it calls again', async () => {
    const { closed, peer } = await come();
    connections.begin(peer).answered();
    now = 8_001;
    connections.begin(peer);
    connections.look();
    await closed;
  });

  it('is not a connection that waits for its answer', async () => {
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
