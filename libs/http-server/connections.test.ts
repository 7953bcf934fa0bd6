import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rememberRequest } from './asked-connection.ts';
import { Connections } from './connections.ts';

const MOST = 4;
let server: Server;
let port: number;
let clock: number;
let connections: Connections;
const sockets: Socket[] = [];
/** Functions that answer the waiting requests of GET /slow. The test calls them. */
const slow: (() => void)[] = [];

beforeEach(async () => {
  clock = 0;
  connections = new Connections({ most: MOST, now: () => clock });
  server = createServer((incoming, outgoing) => {
    rememberRequest(incoming, outgoing);
    if (incoming.url === '/large') outgoing.end(Buffer.alloc(64_000_000));
    else if (incoming.url === '/upload') incoming.resume().on('end', () => outgoing.end('done'));
    else if (incoming.url === '/slow') slow.push(() => outgoing.end('done'));
    else outgoing.end('done');
  });
  connections.keep(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  slow.length = 0;
  server.closeAllConnections();
  server.close();
});

const POST = 'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n';
const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/**
 * Connects and sends bytes. Resolves when the server has accepted the connection, with promises for its answer and its
 * close.
 */
async function open(bytes: string) {
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const closed = new Promise<'closed'>((resolve) => socket.once('close', () => resolve('closed')));
  const answered = new Promise<'answered'>((resolve) => socket.once('data', () => resolve('answered')));
  socket.on('error', () => {});
  socket.write(bytes);
  return { socket, closed, answered, first: () => Promise.race([closed, answered]), theirs: await accepted };
}

it('closes the connection that has been idle for longest, and for at least a second, for a new one', async () => {
  const holding = [];
  for (let i = 0; i < MOST; i++) holding.push(await open('GET /x HTTP/1.1\r\nX-Slow: '));
  await expect(connections.part.check()).resolves.toBeUndefined();
  expect(await (await open(GET('/'))).first()).toBe('closed');
  clock = 1_000;
  expect(await (await open(GET('/'))).first()).toBe('answered');
  await holding[0]?.closed;
  expect(holding.map(({ theirs }) => theirs.destroyed)).toEqual([true, false, false, false]);
});

it('is full for 5 s after it rejected a connection, but not after it replaced an idle connection', async () => {
  for (let i = 0; i < MOST; i++) await open('');
  expect(await (await open(GET('/'))).first()).toBe('closed');
  await expect(connections.part.check()).rejects.toThrow('all 4 connections are taken');
  clock = 5_000;
  expect(await (await open(GET('/'))).first()).toBe('answered');
  await expect(connections.part.check()).resolves.toBeUndefined();
});

it('closes a connection without a request for 0.1 s before an answered connection, and counts as full', async () => {
  const asking = await open(GET('/'));
  await asking.answered;
  const silent = [];
  for (let i = 1; i < MOST; i++) silent.push(await open(''));
  clock = 99;
  await open(GET('/'));
  expect(asking.theirs.destroyed).toBe(true);
  clock = 100;
  expect(await (await open(GET('/'))).first()).toBe('answered');
  expect(silent.map(({ theirs }) => theirs.destroyed)).toEqual([true, false, false]);
  await expect(connections.part.check()).rejects.toThrow('all 4 connections are taken');
});

it('replaces idle connections first, and is full if only recently used connections can be replaced', async () => {
  const asking: Awaited<ReturnType<typeof open>>[] = [];
  for (let i = 0; i < MOST - 1; i++) asking.push(await open(GET('/')));
  for (const one of asking) await one.answered;
  clock = 1_000;
  const late = await open(GET('/'));
  await late.answered;
  asking[0]?.socket.write(GET('/'));
  await new Promise((resolve) => asking[0]?.socket.once('data', resolve));
  // Two connections have sent no request for a second.
  for (const _ of [1, 2]) expect(await (await open(GET('/'))).first()).toBe('answered');
  await Promise.all([asking[1]?.closed, asking[2]?.closed]);
  await expect(connections.part.check()).resolves.toBeUndefined();
  expect(await (await open(GET('/'))).first()).toBe('answered');
  await asking[0]?.closed;
  expect(late.theirs.destroyed).toBe(false);
  await expect(connections.part.check()).rejects.toThrow('all 4 connections are taken');
});

it('closes a connection if its client reads the answer too slowly', async () => {
  // The silence timeout must not end the connection.
  server.timeout = 0;
  const slowly = await open(GET('/large'));
  slowly.socket.pause();
  const waiting = await open(GET('/slow'));
  await expect.poll(() => slow.length).toBe(1);
  const gone = new Promise((resolve) => slowly.theirs.once('close', resolve));
  // The client reads a little at intervals, so the connection is never silent.
  const taking = setInterval(() => slowly.socket.read(1_024), 100);
  const passing = setInterval(() => {
    clock += 1_000;
  }, 100);
  await gone;
  for (const timer of [taking, passing]) clearInterval(timer);
  expect(clock).toBeGreaterThanOrEqual(8_000);
  expect(waiting.theirs.destroyed).toBe(false);
});

it('lets a connection that sends a body finish, but only for 3 s if no other can be replaced', async () => {
  const sending = [];
  for (let i = 0; i < MOST - 1; i++) sending.push(await open(`${POST}Expect: 100-continue\r\n\r\n`));
  // Its head was read, so the client may send the body.
  for (const one of sending) expect(await one.first()).toBe('answered');
  const idle = await open('');
  clock = 2_999;
  expect(await (await open(GET('/'))).first()).toBe('answered');
  await idle.closed;
  const busy = await open(GET('/slow'));
  await expect.poll(() => slow.length).toBe(1);
  expect(await (await open(GET('/'))).first()).toBe('closed');
  clock = 3_000;
  expect(await (await open(GET('/'))).first()).toBe('answered');
  await sending[0]?.closed;
  expect(sending.map(({ theirs }) => theirs.destroyed)).toEqual([true, false, false]);
  expect(busy.theirs.destroyed).toBe(false);
});

it('closes a new connection if every connection has a request under way', async () => {
  const busy = [];
  for (let i = 0; i < MOST; i++) busy.push(await open(GET('/slow')));
  await expect.poll(() => slow.length).toBe(MOST);
  expect(await (await open(GET('/'))).first()).toBe('closed');
  for (const answer of slow.splice(0)) answer();
  for (const one of busy) expect(await one.first()).toBe('answered');
});

it('closes a connection if its client does not read, but not while it waits for its answer', async () => {
  const waiting = await open(GET('/slow'));
  // The time of a connection without a request is not limited here, since a busy machine may read the request late.
  await expect.poll(() => slow.length).toBe(1);
  waiting.theirs.setTimeout(200);
  // Replaces the default of 8 s.
  server.timeout = 200;
  const deaf = await open(GET('/large'));
  deaf.socket.pause();
  await new Promise((resolve) => deaf.theirs.once('close', resolve));
  slow.pop()?.();
  expect(await waiting.first()).toBe('answered');
});
