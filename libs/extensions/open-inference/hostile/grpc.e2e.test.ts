/**
 * Tests the gRPC port of an API process with hostile calls and connections. Each call gets an answer of the protocol
 * with a plain text, the process keeps running, and its memory stays bounded.
 */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { makeFolder, ownRedis } from '../../../../test/e2e/servers.fixture.ts';
import { type HostileService, startService } from '../../../../test/rigs/hostile/service.ts';
import { encode, faultsOf, framed, type GrpcAnswer, openSession, type RawCall, send } from './call.fixture.ts';
import { CALLS, GOOD, GOOD_USERS } from './calls.fixture.ts';
import { attack, CONNECTIONS } from './connections.fixture.ts';

const FUZZED = { numRuns: 400, seed: 20_261_129 };
/** The most growth of the process' memory, in bytes. */
const MOST_GROWTH = 400 * 1_048_576;

let folder: string;
let database: TestDatabase;
let redis: Awaited<ReturnType<typeof ownRedis>>;
let service: HostileService;
let restingBytes: number;
beforeAll(async () => {
  folder = await makeFolder();
  redis = await ownRedis(folder);
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  service = await startService({ databaseUrl: database.url, redisUrl: redis.url }, 'int8');
  await expectAlive();
  restingBytes = residentBytes();
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
  await redis?.close();
  await rm(folder, { recursive: true, force: true });
});

function residentBytes(): number {
  const text = readFileSync(`/proc/${service.api.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]) * 1_024;
}

const PATIENCE = { timeout: 20_000, interval: 100 };

/** Expects that both views answer on a new connection, and that memory is within its bound. */
async function expectAlive(): Promise<void> {
  expect(service.api.hasEnded()).toBe(false);
  const own = await openSession(service.grpcPort);
  for (const message of [GOOD, GOOD_USERS]) {
    // A busy machine may miss the deadline of a call.
    await vi.waitFor(async () => {
      expect(await send(own, { bytes: [framed(encode(message))] })).toMatchObject({ http: 200, code: 'OK' });
    }, PATIENCE);
  }
  own.destroy();
}

/** The codes of calls that a busy machine did not answer in time. */
const LATE = ['DEADLINE_EXCEEDED', 'UNAVAILABLE'];
/** The most times that a call is sent. */
const ATTEMPTS = 100;

/** Sends a call on a new connection. Sends it again if it was late and another code is expected. */
async function sendInTime(call: RawCall, expected: string): Promise<GrpcAnswer> {
  for (let attempt = 1; ; attempt++) {
    const own = await openSession(service.grpcPort);
    const answer = await send(own, call);
    own.destroy();
    const isLate = answer.code !== expected && LATE.includes(answer.code ?? '');
    if (!isLate || attempt === ATTEMPTS) return answer;
    await pause(PATIENCE.interval);
  }
}

describe('a hostile call', () => {
  it.concurrent.each(CALLS.map((call) => [call.name, call] as const))('with %s', async (_, { code, text, ...call }) => {
    const answer = await sendInTime(call, code);
    expect(answer).toMatchObject({ http: 200, code, text: expect.stringMatching(text instanceof RegExp ? text : '') });
    if (typeof text === 'string') expect(answer.text).toContain(text);
    if (code !== 'INTERNAL') expect(faultsOf(answer)).toEqual([]);
  });

  it.each([
    ['another media type', { 'content-type': 'application/json' }, 415],
    ['no media type', { 'content-type': undefined }, 415],
  ])('with %s is refused by its HTTP status', async (_, headers, http) => {
    const own = await openSession(service.grpcPort);
    expect(await send(own, { headers, bytes: [framed(encode(GOOD))] })).toMatchObject({ http });
    own.destroy();
  });
});

describe('messages of good calls, changed by chance', () => {
  it('get answers of the protocol', async () => {
    const change = fc.record({
      kind: fc.constantFrom('set', 'insert', 'remove', 'cut', 'repeat'),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    });
    const message = fc.record({ good: fc.constantFrom(GOOD, GOOD_USERS), changes: fc.array(change, { maxLength: 6 }) });
    const own = await openSession(service.grpcPort);
    const faults: string[] = [];
    const property = fc.asyncProperty(message, async ({ good, changes }) => {
      const bytes = changes.reduce(changed, encode(good));
      const found = faultsOf(await send(own, { bytes: [framed(bytes)] }));
      faults.push(...found.map((fault) => `${bytes.toString('hex')}: ${fault}`));
    });
    await fc.assert(property, FUZZED);
    own.destroy();
    expect(faults).toEqual([]);
    await expectAlive();
  });
});

interface Change {
  readonly kind: string;
  /** The place of the change, as a share of the message. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

function changed(message: Buffer, { kind, at, bytes }: Change): Buffer {
  const place = Math.floor(at * message.length);
  const [before, after] = [message.subarray(0, place), message.subarray(place)];
  if (kind === 'insert') return Buffer.concat([before, bytes, after]);
  if (kind === 'remove') return Buffer.concat([before, after.subarray(bytes.length)]);
  if (kind === 'cut') return Buffer.from(before);
  if (kind === 'repeat') return Buffer.concat([message, message]);
  return Buffer.concat([before, bytes, after.subarray(bytes.length)]);
}

describe('a hostile connection', () => {
  it.each(CONNECTIONS)('with %s do not end other connections', async (_, bytes) => {
    const socket = await attack(service.grpcPort, bytes);
    await expectAlive();
    socket.destroy();
  });

  it('accepts new connections although 400 connections send nothing', async () => {
    const sockets: Socket[] = [];
    for (let i = 0; i < 400; i++) sockets.push(await attack(service.grpcPort, Buffer.alloc(i % 2)));
    await expectAlive();
    for (const socket of sockets) socket.destroy();
  });
});

describe('memory', () => {
  it('is bounded if messages decompress to many bytes, are numerous, or never end', async () => {
    const packed = framed(gzipSync(Buffer.alloc(1_000_000)), { compressed: 1 });
    const bombs = Buffer.concat(new Array(14).fill(packed));
    const sessions = await Promise.all(Array.from({ length: 8 }, () => openSession(service.grpcPort)));
    const calls = sessions.flatMap((one) =>
      Array.from({ length: 64 }, (_, i) => {
        const staysOpen = i % 2 === 1;
        const bytes = staysOpen ? [framed(Buffer.alloc(900_000), { length: 1_000_000 })] : [bombs];
        return send(one, { headers: { 'grpc-encoding': 'gzip' }, bytes, staysOpen });
      }),
    );
    let most = 0;
    const looking = setInterval(() => {
      most = Math.max(most, residentBytes());
    }, 50);
    const answers = await Promise.all(calls);
    clearInterval(looking);
    for (const one of sessions) one.destroy();
    // If a connection's messages take too much memory, its streams are reset without an answer.
    const codes = new Set(answers.map(({ http, code }) => (http === 0 ? 'reset' : code)));
    const allowed = ['INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'reset'];
    expect(allowed).toEqual(expect.arrayContaining([...codes]));
    expect([...codes]).toEqual(expect.arrayContaining(['INVALID_ARGUMENT', 'DEADLINE_EXCEEDED']));
    expect(most - restingBytes).toBeLessThan(MOST_GROWTH);
    await expectAlive();
  });
});

it('the log has no error and no stack from these calls', () => {
  expect(service.api.lines.filter(({ level }) => level === 'error')).toEqual([]);
});
