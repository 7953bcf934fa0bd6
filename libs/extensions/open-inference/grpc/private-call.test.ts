/** Tests that simulate other releases of grpc-js by changing its classes. */
import type { ServerHttp2Stream } from 'node:http2';
import { createRequire } from 'node:module';
import { afterEach, expect, test } from 'vitest';
import { startGrpcServer } from './grpc-server.ts';
import { assertPrivateParts } from './private-call.ts';

interface Decoder {
  write?: unknown;
}

const require = createRequire(import.meta.url);
const fromGrpc = (file: string): unknown => require(`@grpc/grpc-js/build/src/${file}.js`);
const { StreamDecoder } = fromGrpc('stream-decoder') as {
  StreamDecoder: { prototype: Decoder };
};
const { prototype } = StreamDecoder;
const original = Object.getOwnPropertyDescriptor(prototype, 'write') as PropertyDescriptor;
const { BaseServerInterceptingCall } = fromGrpc('server-interceptors') as {
  BaseServerInterceptingCall: { prototype: { stream: ServerHttp2Stream; sendStatus(): void } };
};
const { sendStatus } = BaseServerInterceptingCall.prototype;
afterEach(() => {
  Object.defineProperty(prototype, 'write', original);
  BaseServerInterceptingCall.prototype.sendStatus = sendStatus;
});

const start = () =>
  startGrpcServer({
    ...{ host: '127.0.0.1', port: 0, connections: 1, mostBytes: 1_000, mostAnswerBytes: 1_000 },
    serve: async () => ({ response: { live: true } }),
  });

const refused = (why: RegExp) => ({
  ...{ code: 'config_invalid', field: 'GRPC_PORT', message: expect.stringMatching(why) },
  remedy: expect.stringContaining('npm ci'),
});

test('a server does not start with a grpc-js without a message decoder', async () => {
  delete prototype.write;
  await expect(start()).rejects.toMatchObject(refused(/@grpc\/grpc-js does not work with the gRPC port/));
});

test('a server does not start with a grpc-js that does not allow limiting the decoder', async () => {
  Object.defineProperty(prototype, 'write', { get: () => original.value, set: () => {}, configurable: true });
  await expect(start()).rejects.toMatchObject(refused(/accepts the second message of a call/));
});

test('a server does not start with a grpc-js that ends such a call without an answer', async () => {
  BaseServerInterceptingCall.prototype.sendStatus = function () {
    this.stream.close(0);
  };
  await expect(start()).rejects.toMatchObject(refused(/its call ends without an answer/));
});

test('the installed release has these parts', async () => {
  await assertPrivateParts();
});
