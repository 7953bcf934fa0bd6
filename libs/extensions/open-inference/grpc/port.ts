/** The port of the protocol over gRPC. */
import { MAX_BODY_BYTES } from '@tandem/endpoints/body';
import type { PortPart } from '@tandem/extension/extension';
import { MOST_ANSWER_BYTES } from '@tandem/inference/live/infer-request';
import { startGrpcServer } from './grpc-server.ts';
import { createServeCall } from './serve-call.ts';

export const start: PortPart['start'] = (host, address) =>
  startGrpcServer({
    ...address,
    serve: createServeCall(host),
    mostBytes: MAX_BODY_BYTES,
    mostAnswerBytes: MOST_ANSWER_BYTES,
  });
