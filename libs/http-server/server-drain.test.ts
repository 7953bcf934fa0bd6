import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Heard, hear } from './heard.fixture.ts';
import { startTestServer } from './server.fixture.ts';
import type { HttpServer } from './server.ts';
import { IDLE_MS } from './server-drain.ts';
import { askOnAndOn } from './steady-client.fixture.ts';

const CLIENTS = 40;
/** A drain time that no test reaches. */
const LONG = Object.freeze({ leastMs: 0, mostMs: 600_000 });
const GRACE_MS = 60_000;
const CLOSE = /^connection: close\r$/im;
const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

let server: HttpServer;
let served: string[];
/** Client ports of the connections that the server accepted. */
let accepted: Set<number>;
/** Resolves when the test answers the requests for /held. */
let held: PromiseWithResolvers<void>;
let sockets: Socket[];

beforeEach(async () => {
  [served, accepted, held, sockets] = [[], new Set(), Promise.withResolvers(), []];
  server = await startTestServer({
    async answer({ url = '' }, outgoing) {
      served.push(url);
      if (url === '/held') await held.promise;
      outgoing.end(url);
    },
    connections: {
      keep: (kept) => void kept.on('connection', ({ remotePort = 0 }: Socket) => accepted.add(remotePort)),
    },
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close(0).catch(() => {});
});

interface Talk extends Heard {
  readonly socket: Socket;
}

async function open(): Promise<Talk> {
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  sockets.push(socket);
  const heard = hear(socket);
  await once(socket, 'connect');
  await expect.poll(() => accepted.has(socket.localPort ?? 0), { interval: 1 }).toBe(true);
  return { socket, ...heard };
}

async function answerOf(talk: Talk, path: string): Promise<string> {
  const before = talk.text().length;
  talk.socket.write(GET(path));
  await expect.poll(() => talk.text().slice(before), { interval: 1 }).toMatch(new RegExp(`${path}(\r\n0\r\n\r\n)?$`));
  return talk.text().slice(before);
}

const refuses = () =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    sockets.push(socket);
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true));
  });

describe('a draining server', () => {
  it('answers every request on the connections that it accepted, and resets none', async () => {
    const clients = Array.from({ length: CLIENTS }, () => askOnAndOn(server.port));
    await expect.poll(() => clients.every(({ answers }) => answers() > 5), { interval: 1 }).toBe(true);
    const before = clients.map(({ answers }) => answers());
    const drained = server.listenOn(LONG);
    await expect
      .poll(() => clients.every(({ answers }, i) => answers() > (before[i] ?? 0)), { interval: 1 })
      .toBe(true);
    expect(await server.close(GRACE_MS)).toBe(true);
    const lost = (await Promise.all(clients.map(({ ended }) => ended))).flat();
    // A connection that arrives while the listener closes was never accepted.
    expect(lost.filter(({ port }) => accepted.has(port))).toEqual([]);
    await drained;
  });

  it('accepts connections for a while, then marks each answer as the last, including those under way', async () => {
    const [resting, waiting] = [await open(), await open()];
    expect(await answerOf(resting, '/before')).not.toMatch(CLOSE);
    waiting.socket.write(GET('/held'));
    await expect.poll(() => served, { interval: 1 }).toContain('/held');
    const drained = server.listenOn(LONG);
    const newcomer = await open();
    expect(await answerOf(newcomer, '/meanwhile')).not.toMatch(CLOSE);
    const closed = server.close(GRACE_MS);
    await expect.poll(refuses, { interval: 1 }).toBe(true);
    for (const talk of [resting, newcomer]) expect(await answerOf(talk, '/after')).toMatch(CLOSE);
    held.resolve();
    expect(await Promise.all([resting, newcomer, waiting].map(({ end }) => end))).toEqual(['end', 'end', 'end']);
    expect(waiting.text()).toMatch(CLOSE);
    await drained;
    expect(await closed).toBe(true);
  });

  it('listens for the time that a proxy needs to notice, even without connections', async () => {
    const startedAt = performance.now();
    await server.listenOn({ leastMs: 300, mostMs: 300 });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(299);
    expect(await refuses()).toBe(false);
  });

  it('ends at once without connections', async () => {
    await server.listenOn(LONG);
    expect(await server.close(GRACE_MS)).toBe(true);
    expect(await refuses()).toBe(true);
  });

  it('closes an idle connection without a reset, and not before the idle time', async () => {
    const { end, socket } = await open();
    const startedAt = performance.now();
    const closed = server.close(GRACE_MS);
    expect(await end).toBe('end');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(IDLE_MS - 1);
    socket.destroy();
    expect(await closed).toBe(true);
  });

  it('waits for a request if its head has begun to arrive', async () => {
    const [talk, silent] = [await open(), await open()];
    await answerOf(talk, '/before');
    const closed = server.close(GRACE_MS);
    talk.socket.write(GET('/late').slice(0, 20));
    await silent.end;
    talk.socket.write(GET('/late').slice(20));
    expect(await talk.end).toBe('end');
    expect(talk.text()).toMatch(/\/late(\r\n0\r\n\r\n)?$/);
    expect(await closed).toBe(true);
  });

  it('does not begin a request that follows the last answer of a connection', async () => {
    const [talk, later] = [await open(), await open()];
    talk.socket.write(GET('/held'));
    await expect.poll(() => served, { interval: 1 }).toContain('/held');
    const closed = server.close(GRACE_MS);
    await expect.poll(refuses, { interval: 1 }).toBe(true);
    talk.socket.write(GET('/behind'));
    // The answer on the other connection proves that the server has read the request above.
    await answerOf(later, '/later');
    held.resolve();
    expect(await talk.end).toBe('end');
    expect(served).toEqual(['/held', '/later']);
    expect(await closed).toBe(true);
  });

  it('closes unfinished connections after the grace period, and reports it', async () => {
    const talk = await open();
    talk.socket.write(GET('/held'));
    await expect.poll(() => served, { interval: 1 }).toContain('/held');
    expect(await server.close(10)).toBe(false);
    await talk.end;
  });
});
