/** Reads the protocol's service from its proto file, and its messages from bytes. */
import { join } from 'node:path';
import { loadPackageDefinition, type ServiceClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { countEntries } from './count-entries.ts';

/** Loads the proto file. 64-bit integers become objects, so that none loses digits. */
const PROTOCOL = { file: join(import.meta.dirname, 'open_inference_grpc.proto'), service: 'GRPCInferenceService' };
const DECODING = { keepCase: true, defaults: true };

export function readService(): ServiceDefinition {
  const { inference } = loadPackageDefinition(loadSync(PROTOCOL.file, DECODING)) as unknown as {
    inference: Record<string, ServiceClientConstructor>;
  };
  const { service } = inference[PROTOCOL.service] as ServiceClientConstructor;
  const methods = Object.entries(service).map(([name, method]) => {
    const { requestDeserialize } = method;
    const check = name === 'ModelInfer' ? countEntries : () => {};
    const read = (bytes: Buffer) => {
      check(bytes);
      return requestDeserialize(bytes);
    };
    return [name, { ...method, requestDeserialize: (bytes: Buffer) => readOr(read, bytes) }] as const;
  });
  return Object.fromEntries(methods);
}

/** A placeholder for a message that cannot be read. Without it, grpc-js would answer with an internal error. */
export class UnreadMessage {
  readonly error: Error;
  constructor(error: Error) {
    this.error = error;
  }
}

function readOr(deserialize: (bytes: Buffer) => unknown, bytes: Buffer): unknown {
  try {
    return deserialize(bytes);
  } catch (error) {
    return new UnreadMessage(isTandemError(error) ? error : malformed());
  }
}

function malformed(): TandemError {
  const remedy = 'send a message as defined in open_inference_grpc.proto';
  return new TandemError('malformed_request', 'The message does not have the form of the protocol.', {
    remedy,
  });
}
