/** The private fields of grpc-js that the server needs, and the check at the start that they work. */
import { connect, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import {
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  status,
} from '@grpc/grpc-js';
import { TandemError } from '@tandem/freshness/errors';

interface PrivateCall {
  readonly stream: ServerHttp2Stream;
  /** The decoder that splits the stream into messages. */
  readonly decoder: { write(data: Buffer): Buffer[] };
}

/** Calls back when the call's stream has closed. An interceptor is notified only of the sent answer. */
export function onStreamClosed(call: ServerInterceptingCallInterface, closed: () => void): void {
  (call as unknown as PrivateCall).stream.once('close', closed);
}

/**
 * Rejects a call of several messages before the second is decompressed and decoded. A frame of 16 KiB may contain
 * thousands of empty messages, or fifteen that decompress to 1 MiB each. grpc-js itself keeps all of them until the
 * call ends.
 */
export function takeOneMessage(call: ServerInterceptingCallInterface): void {
  const { decoder } = call as unknown as PrivateCall;
  const write = decoder.write.bind(decoder);
  let messages = 0;
  const writeOne: typeof write = (data) => {
    const found = write(data);
    messages += found.length;
    if (messages <= 1) return found;
    const details = 'A call has one message, and this call has more. To fix it: send each message in a separate call.';
    call.sendStatus({ code: status.INVALID_ARGUMENT, details, metadata: new Metadata() });
    return [];
  };
  decoder.write = writeOne;
}

const PROBE_MS = 10_000;
const PROBE = '/tandem.Probe/Call';

/**
 * Checks the installed grpc-js with a call of two messages to a server in memory. Rejects with `config_invalid` if the
 * private fields have moved or work differently, since the limits would then have no effect.
 */
export async function assertPrivateParts(): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const server = new Server({
    'grpc.enable_channelz': 0,
    interceptors: [
      (_, call) => {
        try {
          takeOneMessage(call);
          onStreamClosed(call, closed.resolve);
        } catch (error) {
          ended.reject(error);
        }
        return new ServerInterceptingCall(call);
      },
    ],
  });
  server.addService(
    { call: RAW },
    { call: (_: unknown, callback: (error: null, reply: Buffer) => void) => callback(null, EMPTY) },
  );
  const [near, far] = duplexPair();
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(near);
  const session = connect('http://probe', { createConnection: () => far }).on('error', ended.reject);
  const headers = { ':method': 'POST', ':path': PROBE, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(headers).on('error', ended.reject);
  stream.on('response', ({ 'grpc-status': code }) => {
    if (Number(code) === status.INVALID_ARGUMENT) ended.resolve();
    else ended.reject(new Error('it accepts the second message of a call'));
  });
  stream.on('close', () => ended.reject(new Error('its call ends without an answer')));
  stream.resume().end(Buffer.alloc(2 * EMPTY_MESSAGE_BYTES));
  const late = setTimeout(() => {
    for (const part of [ended, closed]) part.reject(new Error('its call does not end'));
  }, PROBE_MS);
  try {
    await Promise.all([ended.promise, closed.promise]);
  } catch (cause) {
    throw foreignRelease(cause);
  } finally {
    clearTimeout(late);
    session.destroy();
    server.forceShutdown();
  }
}

/** The bytes of an empty gRPC message, which are a flag and the length. */
const EMPTY_MESSAGE_BYTES = 5;
const EMPTY = Buffer.alloc(0);
const same = (bytes: Buffer) => bytes;
const RAW = {
  ...{ path: PROBE, requestStream: false, responseStream: false },
  ...{ requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same },
} as const;

function foreignRelease(cause: unknown): TandemError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const text = `The installed release of @grpc/grpc-js does not work with the gRPC port: ${why}.`;
  return new TandemError('config_invalid', text, {
    field: 'GRPC_PORT',
    remedy: 'install the release that package-lock.json names (npm ci), or unset GRPC_PORT to start without gRPC',
    cause,
  });
}
