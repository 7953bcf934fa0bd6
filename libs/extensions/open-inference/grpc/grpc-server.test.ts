/** Tests of the server, with a service that the test implements. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { HttpServer } from '@tandem/http-server/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type GrpcClient, openGrpcClient } from './grpc-client.fixture.ts';
import { type ServeCall, startGrpcServer } from './grpc-server.ts';

let server: HttpServer | undefined;
let client: GrpcClient | undefined;

async function open(serve: ServeCall, { mostBytes = 1_048_576, connections = 16 } = {}): Promise<GrpcClient> {
  server = await startGrpcServer({ host: '127.0.0.1', port: 0, connections, mostBytes, mostAnswerBytes: 1_000, serve });
  client = openGrpcClient(server.port);
  return client;
}

afterEach(async () => {
  client?.close();
  await server?.close(0);
});

const LIVE: ServeCall = async (_, __, message) => {
  await message();
  return { response: { live: true } };
};

describe('a gRPC server', () => {
  it('rejects a call before it reads the message, with code, text and trailers', async () => {
    const { call } = await open(async () => ({
      refusal: { code: 'UNAUTHENTICATED', text: 'a key is needed: ü', trailers: { 'retry-after': '3' } },
    }));
    const error = await call('ModelInfer', { model_name: 'a' }).catch((refused: unknown) => refused);
    expect(error).toMatchObject({ code: status.UNAUTHENTICATED, details: 'a key is needed: ü' });
    expect((error as { metadata: { get(name: string): string[] } }).metadata.get('retry-after')).toEqual(['3']);
  });

  it('passes metadata, the path and the remaining time', async () => {
    const asked = vi.fn();
    const { call } = await open(async (rpc, { header, leftMs, url }, message) => {
      asked(rpc, url, header('authorization'), header('nothing'));
      expect(leftMs()).toBeGreaterThan(0);
      expect(leftMs()).toBeLessThanOrEqual(60_000);
      await message();
      return { response: { live: true } };
    });
    expect(await call('ServerLive', {}, { authorization: 'Bearer x' })).toEqual({ live: true });
    expect(asked).toHaveBeenCalledWith(
      'ServerLive',
      '/inference.GRPCInferenceService/ServerLive',
      'Bearer x',
      undefined,
    );
  });

  it('rejects a message that is too large, or is not a message of the protocol', async () => {
    const codes: unknown[] = [];
    const opened = await open(
      async (_, __, message) => {
        const error = await message().catch((refused: unknown) => refused);
        codes.push((error as { code?: string }).code);
        return { refusal: { code: 'INVALID_ARGUMENT', text: 'refused', trailers: {} } };
      },
      { mostBytes: 1_000 },
    );
    const large = opened.call('ModelInfer', { model_name: 'a'.repeat(2_000) });
    await expect(large).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    const malformed = new Promise((resolve) => {
      const path = '/inference.GRPCInferenceService/ModelInfer';
      const raw = (bytes: Buffer) => bytes;
      opened.client.makeUnaryRequest(path, raw, raw, Buffer.from([0x3a, 0x7f, 1]), resolve);
    });
    expect(await malformed).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(codes).toEqual(['malformed_request', 'malformed_request']);
  });

  it('reports that the caller has left when its deadline passes', async () => {
    const gone = Promise.withResolvers<void>();
    const { call } = await open(async (_, { onGone }, message) => {
      // On a busy machine, the deadline may pass before the message arrives.
      await message().catch(() => {});
      await new Promise<void>((resolve) => onGone(resolve));
      gone.resolve();
      return { response: {} };
    });
    await expect(call('ServerLive', {}, {}, 100)).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await gone.promise;
  });

  it('lets a call under way finish when it closes, and accepts no other', async () => {
    const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { call } = await open(async (_, __, message) => {
      await message();
      begun.resolve();
      await released.promise;
      return { response: { live: true } };
    });
    const answer = call('ServerLive', {});
    await begun.promise;
    const closing = server?.close(10_000);
    released.resolve();
    expect(await answer).toEqual({ live: true });
    expect(await closing).toBe(true);
    await expect(call('ServerLive', {}, {}, 20_000)).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  it('ends a call that does not finish within the grace period', async () => {
    const begun = Promise.withResolvers<void>();
    const { call } = await open(async (_, __, message) => {
      await message();
      begun.resolve();
      return new Promise(() => {});
    });
    const answer = call('ServerLive', {});
    const failed = expect(answer).rejects.toMatchObject({ code: expect.any(Number) });
    await begun.promise;
    expect(await server?.close(50)).toBe(false);
    await failed;
  });

  it('replaces a silent connection by a new one, and keeps a connection with a waiting call', async () => {
    const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { call } = await open(
      async (_, __, message) => {
        await message();
        begun.resolve();
        await released.promise;
        return { response: { live: true } };
      },
      { connections: 1 },
    );
    const closed = (socket: Socket) =>
      once(
        socket.resume().on('error', () => {}),
        'close',
      );
    const silent = connect(server?.port ?? 0, '127.0.0.1');
    const gone = closed(silent);
    await once(silent, 'connect');
    const answer = call('ServerLive', {});
    await gone;
    await begun.promise;
    await closed(connect(server?.port ?? 0, '127.0.0.1'));
    released.resolve();
    expect(await answer).toEqual({ live: true });
  });

  it('answers a call without reading its message if the service does not request the message', async () => {
    const { call } = await open(async () => ({ response: { live: true } }));
    expect(await call('ServerLive', {})).toEqual({ live: true });
    const stream = half(server?.port ?? 0);
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(200);
    const [trailers] = await once(stream.resume(), 'trailers');
    expect(trailers['grpc-status']).toBe('0');
  });

  it('rejects a message that would take long to decode', async () => {
    const { call } = await open(async (_, __, message) => {
      const error = (await message().catch((refused: unknown) => refused)) as Error;
      return { refusal: { code: 'INVALID_ARGUMENT', text: error.message, trailers: {} } };
    });
    const many = call('ModelInfer', { model_name: 'a', inputs: new Array(5_000).fill({}) });
    await expect(many).rejects.toMatchObject({ details: expect.stringContaining('more than 4096 inputs') });
  });

  it('rejects a call with several messages, without reading the second', async () => {
    const read = vi.fn();
    await open(async (_, __, message) => {
      await message().then(read, () => {});
      return { response: { live: true } };
    });
    const empty = Buffer.alloc(5);
    const stream = half(server?.port ?? 0, Buffer.concat(new Array(3_000).fill(empty)));
    const [headers] = await once(stream, 'response');
    expect(headers).toMatchObject({ 'grpc-status': String(status.INVALID_ARGUMENT) });
    expect(decodeURI(String(headers['grpc-message']))).toContain('A call has one message');
    expect(read).not.toHaveBeenCalled();
  });

  it('does not write invalid metadata to stderr', async () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => {});
    const asked = Promise.withResolvers<string | undefined>();
    await open(async (_, { header }) => {
      asked.resolve(header('authorization'));
      return { response: { live: true } };
    });
    half(server?.port ?? 0, undefined, { authorization: 'Bearer secret\u00e4', 'a!b': 'x' });
    expect(await asked.promise).toBeUndefined();
    expect(written).not.toHaveBeenCalled();
    written.mockRestore();
  });

  it('rejects messages beyond the limit of messages in transit', async () => {
    const { call } = await open(async (_, __, message) => {
      const error = await message().catch((refused: unknown) => refused);
      const { code = 'none' } = error as { code?: string };
      return { refusal: { code: 'UNAVAILABLE', text: code, trailers: {} } };
    });
    const sessions = Array.from({ length: 4 }, () => connectHttp2(`http://127.0.0.1:${server?.port}`));
    for (const session of sessions) {
      await once(session, 'remoteSettings');
      for (let i = 0; i < 64; i++) beginCall(session);
      await new Promise((resolve) => session.ping(resolve));
    }
    await expect(call('ModelInfer', { model_name: 'a' })).rejects.toMatchObject({ details: 'overloaded' });
    for (const session of sessions) session.destroy();
  });

  it('reports that a port is in use', async () => {
    await open(LIVE);
    const port = server?.port ?? 0;
    const options = { host: '127.0.0.1', port, connections: 1, mostBytes: 1, mostAnswerBytes: 1, serve: LIVE };
    await expect(startGrpcServer(options)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

/** Begins a call and sends a part of its message. */
function beginCall(
  session: ClientHttp2Session,
  rpc = 'ModelInfer',
  bytes: Buffer = Buffer.of(0, 0, 0, 1, 0, 0),
  metadata = {},
): ClientHttp2Stream {
  const stream = session.request({
    ...{ ':method': 'POST', ':path': `/inference.GRPCInferenceService/${rpc}` },
    ...{ 'content-type': 'application/grpc', te: 'trailers', ...metadata },
  });
  stream.on('error', () => {});
  stream.write(bytes);
  return stream;
}

/** Begins a call on a separate connection. */
function half(port: number, bytes?: Buffer, metadata = {}): ClientHttp2Stream {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = beginCall(session, 'ServerLive', bytes, metadata);
  stream.once('close', () => session.destroy());
  return stream;
}
