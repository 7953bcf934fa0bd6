/** The parts of a call that the server needs and grpc-js keeps in private fields. */
import type { ServerHttp2Stream } from 'node:http2';
import { Metadata, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';

interface PrivateCall {
  readonly stream: ServerHttp2Stream;
  /** Cuts the stream into messages. */
  readonly decoder: { write(data: Buffer): Buffer[] };
}

/** Calls back when the call's stream has closed: an interceptor learns only of the sent answer. */
export function onStreamClosed(call: ServerInterceptingCallInterface, closed: () => void): void {
  (call as unknown as PrivateCall).stream.once('close', closed);
}

/**
 * Refuses a call of several messages before the second is decompressed and decoded. A frame of 16 KiB may hold thousands of
 * empty messages, or fifteen that decompress to 1 MiB each; grpc-js itself keeps all of them until the call ends.
 */
export function takeOneMessage(call: ServerInterceptingCallInterface): void {
  const { decoder } = call as unknown as PrivateCall;
  const write = decoder.write.bind(decoder);
  let messages = 0;
  decoder.write = (data) => {
    const found = write(data);
    messages += found.length;
    if (messages <= 1) return found;
    const details = 'A call has one message, and this call has more. To fix it: send each message in a separate call.';
    call.sendStatus({ code: status.INVALID_ARGUMENT, details, metadata: new Metadata() });
    return [];
  };
}
