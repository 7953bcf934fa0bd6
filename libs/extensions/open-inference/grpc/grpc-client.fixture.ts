/** A client generated from the protocol's proto file, for tests. */
import { join } from 'node:path';
import {
  type Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const FILE = join(import.meta.dirname, 'open_inference_grpc.proto');

// biome-ignore lint/suspicious/noExplicitAny: messages are whatever the protocol's file says
type Message = any;

export interface GrpcClient {
  /**
   * Calls an rpc; rejects with a ServiceError.
   * @param signal cancels the call
   */
  call(
    rpc: string,
    message: object,
    metadata?: Readonly<Record<string, string>>,
    timeoutMs?: number,
    signal?: AbortSignal,
  ): Promise<Message>;
  readonly client: Client;
  close(): void;
}

export function openGrpcClient(port: number, file = FILE): GrpcClient {
  const definition = loadSync(file, { keepCase: true, longs: String, defaults: true, oneofs: true });
  const { inference } = loadPackageDefinition(definition) as unknown as {
    inference: { GRPCInferenceService: ServiceClientConstructor };
  };
  const client = new inference.GRPCInferenceService(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    client,
    call(rpc, message, headers = {}, timeoutMs = 60_000, signal) {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      return new Promise((resolve, reject) => {
        const method = client[rpc] as Message;
        const done = (error: ServiceError | null, answer: Message) => (error ? reject(error) : resolve(answer));
        const started = method.call(client, message, metadata, { deadline: Date.now() + timeoutMs }, done);
        signal?.addEventListener('abort', () => started.cancel());
      });
    },
    close: () => client.close(),
  };
}
