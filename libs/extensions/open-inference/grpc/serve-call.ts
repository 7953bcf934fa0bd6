/** The Open Inference Protocol over gRPC: the same models, keys, limits, metrics and log as over HTTP. */

import type { RouteScope } from '@tandem/endpoints/access';
import { createServing, type Endpoint } from '@tandem/endpoints/endpoint';
import type { HttpProblem } from '@tandem/endpoints/problem';
import type { PortHost } from '@tandem/extension/extension';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { isTandemError } from '@tandem/freshness/errors';
import { type Asked, type FindOpenModel, MODEL_SCOPES } from '../models/open-model.ts';
import { createOpenModels } from '../models/open-models.ts';
import { errorText, isReady, type ReadyDependencies, SERVER } from '../open-server.ts';
import { type GrpcInferRequest, grpcAnswer, grpcMetadata, readGrpcRequest } from './grpc-message.ts';
import type { GrpcRefusal, GrpcReply, RpcName, ServeCall } from './grpc-server.ts';

interface ModelName {
  readonly name: string;
  /** The version; empty if the server chooses. */
  readonly version: string;
}

/** An RPC: the scopes, of which its key needs one, and its handler. */
interface Rpc {
  readonly scope: RouteScope;
  answer(message: unknown, asked: Asked): object | Promise<object>;
}

type Rpcs = Readonly<Record<RpcName, Rpc>>;

interface ServedReply {
  /** The status that the answer has over HTTP. */
  readonly status: number;
  readonly reply: GrpcReply;
}

/** Returns the function that answers the calls of a server. */
export function createServeCall(host: PortHost): ServeCall {
  const rpcs = rpcsOf(createOpenModels(host), host);
  // Browser pages cannot use gRPC, so the authority needs no check.
  const options = { ...host, isOurHost: () => true };
  const servings = new Map(
    Object.entries(rpcs).map(([name, { scope }]) => [name, createServing(endpointOf(name, scope), options, refuse)]),
  );
  return async function serveCall(name, call, message) {
    const serve = servings.get(name) as ReturnType<typeof createServing<ServedReply>>;
    const { reply } = await serve(call, async (event, caller) => {
      const asked = { head: call, caller, event, leftMs: call.leftMs, onGone: call.onGone };
      const { scope, answer } = rpcs[name];
      // Messages of public RPCs are empty and are not read, so that a client without a key cannot make the server
      // buffer a message.
      const sent = scope === 'public' ? {} : await message();
      return { status: 200, reply: { response: await answer(sent, asked) } };
    });
    return reply;
  };
}

function endpointOf(name: string, scope: RouteScope): Pick<Endpoint, 'route' | 'scope' | 'produces'> {
  const route = { operationId: `grpc${name}`, method: 'post', path: `/${name}`, responses: {} } as const;
  return { route, scope, produces: 'application/grpc' };
}

function rpcsOf(findOpenModel: FindOpenModel, dependencies: ReadyDependencies): Rpcs {
  const find = ({ name, version }: ModelName) => findOpenModel(name, version === '' ? undefined : version);
  return {
    ServerLive: { scope: 'public', answer: () => ({ live: true }) },
    ServerReady: { scope: 'public', answer: async () => ({ ready: await isReady(dependencies) }) },
    ServerMetadata: { scope: 'public', answer: () => ({ ...SERVER, extensions: [] }) },
    ModelReady: {
      scope: MODEL_SCOPES,
      async answer(message) {
        const isFound = await find(message as ModelName).then(() => true, falseIfUnknown);
        return { ready: isFound && (await isReady(dependencies)) };
      },
    },
    ModelMetadata: {
      scope: MODEL_SCOPES,
      answer: async (message) => grpcMetadata((await find(message as ModelName)).metadata),
    },
    ModelInfer: {
      scope: MODEL_SCOPES,
      async answer(message, asked) {
        const asking = message as GrpcInferRequest;
        const model = await find({ name: asking.model_name, version: asking.model_version });
        asked.caller.requireScope(model.scope);
        const request = readGrpcRequest(asking);
        return grpcAnswer(await model.infer(request, asked), asking);
      },
    },
  };
}

function falseIfUnknown(error: unknown): false {
  if (isTandemError(error, 'unknown_predictor', 'unknown_model_version')) return false;
  throw error;
}

const CODES: Readonly<Record<number, GrpcRefusal['code']>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  412: 'FAILED_PRECONDITION',
  413: 'RESOURCE_EXHAUSTED',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** gRPC codes of problems whose HTTP status is not precise enough. */
const CODES_BY_PROBLEM: Partial<Record<ErrorCode, GrpcRefusal['code']>> = {
  live_timeout: 'DEADLINE_EXCEEDED',
  not_cached: 'FAILED_PRECONDITION',
  not_confirmed: 'UNKNOWN',
  features_failed: 'FAILED_PRECONDITION',
  features_unusable: 'FAILED_PRECONDITION',
  output_unusable: 'FAILED_PRECONDITION',
};

/** The longest status message. Clients accept 8 KiB of metadata, in which a character may take nine bytes. */
const MOST_TEXT = 700;

function refuse({ code, problem, headers }: HttpProblem): ServedReply {
  const { 'retry-after': retryAfter } = headers;
  const refusal: GrpcRefusal = {
    code: CODES_BY_PROBLEM[code] ?? CODES[problem.status] ?? 'INVALID_ARGUMENT',
    text: errorText(problem).slice(0, MOST_TEXT).toWellFormed(),
    trailers: { 'problem-type': problem.type, ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }) },
  };
  return { status: problem.status, reply: { refusal } };
}
