/** Sends calls over HTTP/2 with any header fields and bytes, and checks each answer. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { join } from 'node:path';
import { loadPackageDefinition, type ServiceClientConstructor, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { INSIDES } from '../../../../test/rigs/hostile/verdict.ts';

export interface GrpcAnswer {
  /** The HTTP status, or 0 if the stream or the connection ended without an answer. */
  readonly http: number;
  /** The name of the gRPC code, or undefined if the answer has no code. */
  readonly code: string | undefined;
  readonly text: string;
}

export interface RawCall {
  readonly rpc?: string;
  /** Headers in addition to those of every call. A value of undefined removes a header. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** The parts to send, in order. */
  readonly bytes: readonly Buffer[];
  /** Whether the caller never ends its side of the stream. */
  readonly staysOpen?: boolean;
}

const SERVICE = '/inference.GRPCInferenceService';
const PROTO = join(import.meta.dirname, '../grpc/open_inference_grpc.proto');

export async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  // If the server ends the connection, its calls report the error.
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}

/** Sends a call. Never rejects. */
export function send(session: ClientHttp2Session, { rpc = 'ModelInfer', headers, bytes, staysOpen }: RawCall) {
  const given = { ':method': 'POST', ':path': `${SERVICE}/${rpc}`, 'content-type': 'application/grpc', te: 'trailers' };
  const all = Object.entries({ ...given, ...headers }).filter(([, value]) => value !== undefined);
  const stream = session.request(Object.fromEntries(all) as Record<string, string>);
  stream.on('error', () => {});
  for (const part of bytes) stream.write(part);
  if (staysOpen !== true) stream.end();
  return new Promise<GrpcAnswer>((resolve) => {
    let found: Record<string, unknown> = {};
    const note = (fields: Record<string, unknown>) => {
      found = { ...found, ...fields };
      if (found['grpc-status'] !== undefined) resolve(answerOf(found));
    };
    stream.on('response', note).on('trailers', note).resume();
    stream.once('close', () => resolve(answerOf(found)));
  });
}

function answerOf(found: Readonly<Record<string, unknown>>): GrpcAnswer {
  const { ':status': http = 0, 'grpc-status': code, 'grpc-message': text = '' } = found;
  return {
    http: Number(http),
    code: code === undefined ? undefined : status[Number(code)],
    text: decodeURI(String(text)),
  };
}

/**
 * Puts the length in front of a message.
 * @param length the declared length, if it differs from the real one
 */
export function framed(message: Uint8Array, { length = message.length, compressed = 0 } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

const { inference } = loadPackageDefinition(loadSync(PROTO, { keepCase: true })) as unknown as {
  inference: { GRPCInferenceService: ServiceClientConstructor };
};

/** Returns the bytes of a `ModelInferRequest`. */
export function encode(message: object): Buffer {
  return inference.GRPCInferenceService.service.ModelInfer?.requestSerialize(message) ?? Buffer.alloc(0);
}

/**
 * The codes for mistakes of callers and for exceeded limits. INTERNAL and UNKNOWN are excluded, because they mean
 * defects.
 */
const DECLARED: ReadonlySet<string | undefined> = new Set([
  ...['OK', 'INVALID_ARGUMENT', 'NOT_FOUND', 'FAILED_PRECONDITION', 'ABORTED', 'UNIMPLEMENTED', 'RESOURCE_EXHAUSTED'],
  ...['DEADLINE_EXCEEDED', 'UNAVAILABLE', 'CANCELLED'],
]);

/** Returns the faults of any answer as sentences. */
export function faultsOf({ http, code, text }: GrpcAnswer): string[] {
  if (http !== 200) return [`answered with the HTTP status ${http}`];
  const faults = DECLARED.has(code) ? [] : [`answered ${code}: ${text}`];
  if (code !== 'OK' && text.length < 10) faults.push(`${code} without a text`);
  if (INSIDES.test(text)) faults.push(`shows its insides: ${text}`);
  return faults;
}
