import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startProxy, type TcpProxy } from './proxy.ts';

let proxy: TcpProxy;
let server: Server;
let served: Socket[];
let clients: Socket[];

beforeEach(async () => {
  served = [];
  clients = [];
  // The server echoes what it receives.
  server = createServer((socket) => {
    served.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startProxy({ port: (server.address() as AddressInfo).port, seed: 7 });
});
afterEach(async () => {
  for (const socket of [...clients, ...served]) socket.destroy();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

describe('proxy', () => {
  it('passes bytes unchanged in both directions, also many megabytes', async () => {
    const client = await open();
    const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
    client.write(sent);
    expect((await receive(client, sent.length)).equals(sent)).toBe(true);
  });

  it('forwards the end of one direction while the other direction continues', async () => {
    const client = await open();
    client.end('last words');
    expect((await receive(client, 10)).toString()).toBe('last words');
    await once(client, 'close');
    await expect.poll(() => proxy.connections()).toEqual([]);
  });

  it('delays by its latency, in both directions or in one, and only while the toxic is active', async () => {
    const client = await open();
    const latency = proxy.add({ type: 'latency', latency: 60 });
    expect(await echoMs(client)).toBeGreaterThanOrEqual(118);
    latency.remove();
    proxy.add({ type: 'latency', latency: 60 }, { direction: 'downstream' });
    expect(await echoMs(client)).toBeGreaterThanOrEqual(58);
    await proxy.heal();
    client.write('at once');
    expect((await receive(client, 7)).toString()).toBe('at once');
  });

  it('delays consecutive chunks in parallel, not one after the other', async () => {
    const client = await open();
    proxy.add({ type: 'latency', latency: 500 }, { direction: 'upstream' });
    const startedAt = performance.now();
    const received = receive(client, 60);
    for (let i = 0; i < 60; i++) {
      client.write('x');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await received;
    // Delays one after the other would take 30 s.
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  it('holds all bytes in a black hole, and delivers them when it is lifted', async () => {
    const client = await open();
    const hole = proxy.add({ type: 'timeout', timeout: 0 });
    client.write('held');
    expect(await silentFor(client, 100)).toBe(true);
    hole.remove();
    expect((await receive(client, 4)).toString()).toBe('held');
  });

  it('ends a connection after the time of its black hole', async () => {
    const client = await open();
    proxy.add({ type: 'timeout', timeout: 30 });
    await once(client, 'close');
  });

  it('resets open and new connections', async () => {
    const client = await open();
    proxy.add({ type: 'reset_peer', timeout: 0 });
    expect(await errorOf(client)).toBe('ECONNRESET');
    const next = connect(proxy.port, '127.0.0.1');
    clients.push(next);
    expect(await errorOf(next)).toBe('ECONNRESET');
  });

  it('bounds the bandwidth', async () => {
    const client = await open();
    proxy.add({ type: 'bandwidth', rate: 100 }, { direction: 'upstream' });
    const startedAt = performance.now();
    for (let i = 0; i < 4; i++) client.write(Buffer.alloc(5_000));
    await receive(client, 20_000);
    // Each chunk must wait until the bandwidth has paid for the bytes before it.
    client.write('x');
    await receive(client, 1);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(195);
  });

  it('slices the bytes that pass', async () => {
    const client = await open();
    const sizes: number[] = [];
    served[0]?.on('data', (bytes) => sizes.push(bytes.length));
    proxy.add({ type: 'slicer', averageSize: 10, sizeVariation: 5, delayUs: 2_000 }, { direction: 'upstream' });
    client.write(Buffer.alloc(100));
    await receive(client, 100);
    expect(sizes.length).toBeGreaterThan(5);
    expect(Math.max(...sizes)).toBeLessThan(100);
  });

  it('ends a connection after its limit of bytes', async () => {
    const client = await open();
    // Bytes from before the toxic do not count.
    await echoMs(client);
    proxy.add({ type: 'limit_data', bytes: 4 }, { direction: 'downstream' });
    client.write('12345678');
    const closed = once(client, 'close');
    expect((await receive(client, 4)).toString()).toBe('1234');
    await closed;
  });

  it('delays the end of a connection', async () => {
    const client = await open();
    proxy.add({ type: 'slow_close', delay: 80 }, { direction: 'upstream' });
    const startedAt = performance.now();
    client.end();
    await once(client, 'close');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(78);
  });

  it('leaves a half-open connection, which is open only on the side of the client', async () => {
    const client = await open();
    const [side] = served;
    const gone = once(side as Socket, 'close');
    const halfOpen = proxy.add({ type: 'half_open' });
    await gone;
    client.write('into the void');
    expect(await silentFor(client, 100)).toBe(true);
    expect(client.readyState).toBe('open');
    halfOpen.remove();
    expect(await errorOf(client)).toBe('ECONNRESET');
  });

  it('refuses connections while it is down, and listens on the same port afterwards', async () => {
    const client = await open();
    const closed = once(client, 'close');
    await proxy.down();
    await closed;
    const refused = connect(proxy.port, '127.0.0.1');
    clients.push(refused);
    expect(await errorOf(refused)).toBe('ECONNREFUSED');
    await proxy.heal();
    client.destroy();
    await open();
  });

  it('applies a toxic to the named connection, and with a share to the same connections for the same seed', async () => {
    const [first, second] = [await open(), await open()];
    proxy.add({ type: 'timeout', timeout: 0 }, { connection: 2 });
    second.write('held');
    first.write('passes');
    expect((await receive(first, 6)).toString()).toBe('passes');
    expect(await silentFor(second, 50)).toBe(true);
    await proxy.heal();
    const port = (server.address() as AddressInfo).port;
    const shares = await Promise.all([3, 3, 4].map((seed) => whoIsReset(port, seed)));
    expect(shares[0]).toEqual(shares[1]);
    expect(shares[0]).not.toEqual(shares[2]);
    expect(new Set(shares[0]).size).toBe(2);
  });
});

/** Opens 24 connections, one after the other, and returns which of them a toxicity of one half resets. */
async function whoIsReset(port: number, seed: number): Promise<readonly boolean[]> {
  const other = await startProxy({ port, seed });
  const sockets: Socket[] = [];
  for (let i = 0; i < 24; i++) sockets.push(await open(other));
  const fates = sockets.map((socket) => fateOf(socket));
  other.add({ type: 'reset_peer', timeout: 0 }, { toxicity: 0.5 });
  for (const socket of sockets) socket.write('x');
  const reset = await Promise.all(fates);
  await other.close();
  return reset;
}

function fateOf(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('data', () => resolve(false));
    socket.once('close', () => resolve(true));
  });
}

async function open(through: TcpProxy = proxy): Promise<Socket> {
  const client = connect(through.port, '127.0.0.1');
  clients.push(client);
  client.on('error', () => {});
  const before = served.length;
  await once(client, 'connect');
  await expect.poll(() => served.length).toBeGreaterThan(before);
  return client;
}

/** Receives bytes. Several events may follow each other at once, so one listener takes them all. */
function receive(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (bytes: Buffer) => {
      chunks.push(bytes);
      size += bytes.length;
      if (size < length) return;
      socket.off('data', take);
      resolve(Buffer.concat(chunks));
    };
    socket.on('data', take);
  });
}

async function echoMs(socket: Socket): Promise<number> {
  const startedAt = performance.now();
  socket.write('x');
  await receive(socket, 1);
  return performance.now() - startedAt;
}

function silentFor(socket: Socket, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), ms);
    socket.once('data', () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}

async function errorOf(socket: Socket): Promise<string | undefined> {
  const [error]: NodeJS.ErrnoException[] = await once(socket, 'error');
  return error?.code;
}
