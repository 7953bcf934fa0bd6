/** Calls over HTTP/2 with any header fields and bytes, and checks of each answer. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { join } from 'node:path';
import { loadPackageDefinition, type ServiceClientConstructor, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { INSIDES } from '../verdict.ts';

export interface GrpcAnswer {
  /** HTTP's status; 0: the stream or the connection ended without an answer. */
  readonly http: number;
  /** The code's name; undefined: the answer has none. */
  readonly code: string | undefined;
  readonly text: string;
}

export interface RawCall {
  readonly rpc?: string;
  /** Beside those of every call; a value of undefined takes one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** The parts to send, in order. */
  readonly bytes: readonly Buffer[];
  /** Whether the caller never says that it has sent everything. */
  readonly staysOpen?: boolean;
}

const SERVICE = '/inference.GRPCInferenceService';
const PROTO = join(import.meta.dirname, '../../../../libs/open-inference/open_inference_grpc.proto');

export async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  // A connection that the server ends is seen by its calls.
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}

/** Sends a call; never rejects. */
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

/** Puts a message behind its length. @param length the declared length, if it is another */
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

/** Codes of what a caller does wrong, or has too much of; those of defects, INTERNAL and UNKNOWN, are not among them. */
const DECLARED: ReadonlySet<string | undefined> = new Set([
  ...['OK', 'INVALID_ARGUMENT', 'NOT_FOUND', 'FAILED_PRECONDITION', 'ABORTED', 'UNIMPLEMENTED', 'RESOURCE_EXHAUSTED'],
  ...['DEADLINE_EXCEEDED', 'UNAVAILABLE', 'CANCELLED'],
]);

/** Returns the problem of any answer, in words. */
export function faultsOf({ http, code, text }: GrpcAnswer): string[] {
  if (http !== 200) return [`answered with the HTTP status ${http}`];
  const faults = DECLARED.has(code) ? [] : [`answered ${code}: ${text}`];
  if (code !== 'OK' && text.length < 10) faults.push(`${code} without a text`);
  if (INSIDES.test(text)) faults.push(`shows its insides: ${text}`);
  return faults;
}
