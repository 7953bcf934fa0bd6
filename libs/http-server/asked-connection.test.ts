import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isPipelined, MOST_WAITING, rememberRequest, untakenAnswer } from './asked-connection.ts';

/**
 * Requests in order of arrival. For each: whether it must be the last, and whether it follows an unanswered request.
 * The test answers them.
 */
const came: { readonly outgoing: ServerResponse; readonly isLast: boolean; readonly isBehind: boolean }[] = [];
let server: Server;
let client: Socket;

beforeEach(async () => {
  came.length = 0;
  server = createServer((incoming, outgoing) => {
    const isLast = rememberRequest(incoming, outgoing);
    came.push({ outgoing, isLast, isBehind: isPipelined(incoming.socket) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => {});
});
afterEach(() => {
  client.destroy();
  server.closeAllConnections();
  server.close();
});

const ask = (requests: number) => client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(requests));
const allCame = (requests: number) => expect.poll(() => came.length, { interval: 1 }).toBe(requests);
const lasts = () => came.flatMap(({ isLast }, i) => (isLast ? [i + 1] : []));

it('reports that a request must be the last if it reaches the limit of waiting requests', async () => {
  client.resume();
  ask(MOST_WAITING);
  await allCame(MOST_WAITING);
  expect(lasts()).toEqual([MOST_WAITING]);
});

it('counts only waiting requests, so a client that reads its answers has no limit', async () => {
  client.resume();
  const half = MOST_WAITING / 2;
  for (let asked = half; asked <= MOST_WAITING * 4; asked += half) {
    ask(half);
    await allCame(asked);
    const { outgoing } = came[asked - 1] as (typeof came)[number];
    const answered = new Promise((resolve) => outgoing.once('finish', resolve));
    for (const each of came.slice(asked - half)) each.outgoing.end('done');
    await answered;
  }
  expect(lasts()).toEqual([]);
});

it('detects a request that arrived while an earlier one waited for its answer', async () => {
  client.resume();
  ask(3);
  await allCame(3);
  const last = came[2]?.outgoing as ServerResponse;
  const answered = new Promise((resolve) => last.once('finish', resolve));
  for (const { outgoing } of came) outgoing.end('done');
  await answered;
  ask(1);
  await allCame(4);
  expect(came.map(({ isBehind }) => isBehind)).toEqual([false, true, true, false]);
});

it('detects an answer that the client does not read', async () => {
  client.pause();
  ask(1);
  await allCame(1);
  const { outgoing } = came[0] as (typeof came)[number];
  const socket = outgoing.socket as Socket;
  expect(untakenAnswer(socket)).toBeUndefined();
  const taken = new Promise((resolve) => outgoing.once('finish', resolve));
  outgoing.end(Buffer.alloc(64_000_000));
  expect(untakenAnswer(socket)).toBe(outgoing);
  client.resume();
  await taken;
  expect(untakenAnswer(socket)).toBeUndefined();
});
