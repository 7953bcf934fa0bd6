/**
 * The protocol's service over gRPC, without TLS: a server that limits what a connection may cost, asks whether a call is let
 * in before it reads the call's message, and drains without losing an answer.
 */
import { type AddressInfo, createServer, type Server as Listener, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type handleUnaryCall,
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type ServiceDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { RequestError } from '@tandem/http-server/request-error';

/** The protocol's file; integers of 64 bits come as objects, so that none loses digits. */
const PROTOCOL = { file: join(import.meta.dirname, 'open_inference_grpc.proto'), service: 'GRPCInferenceService' };
const DECODING = { keepCase: true, defaults: true };

const RPCS = ['ServerLive', 'ServerReady', 'ModelReady', 'ServerMetadata', 'ModelMetadata', 'ModelInfer'] as const;
export type RpcName = (typeof RPCS)[number];

interface GrpcCall {
  /** The rpc's path. */
  readonly url: string;
  /** Returns metadata of the request by their name in lower case; as `host` the authority. */
  header(name: string): string | undefined;
  /** Returns the milliseconds until the caller's deadline; Infinity: it has none. */
  leftMs(): number;
  /** Tells when the caller has gone without an answer, or its deadline has passed. */
  onGone(tell: () => void): void;
}

export interface GrpcRefusal {
  readonly code: Exclude<keyof typeof status, 'OK'>;
  readonly text: string;
  readonly trailers: Readonly<Record<string, string>>;
}

export type GrpcReply = { readonly response: object } | { readonly refusal: GrpcRefusal };

/**
 * Answers a call.
 * @param message reads the call's message: to be called once, when the caller may be answered. Rejects with a RequestError
 */
export type ServeCall = (rpc: RpcName, call: GrpcCall, message: () => Promise<unknown>) => Promise<GrpcReply>;

interface GrpcServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Connections that are kept at most; further ones are closed at once. */
  readonly connections: number;
  /** Bytes of a request. */
  readonly mostBytes: number;
  readonly serve: ServeCall;
}

export interface GrpcServer {
  readonly port: number;
  /** Goes on to accept connections: for `leastMs`, and up to `mostMs` while somebody is connected. */
  listenOn(time: { readonly leastMs: number; readonly mostMs: number }): Promise<void>;
  /** Accepts nothing more and lets calls under way finish. Returns whether all did within the grace. */
  close(graceMs: number): Promise<boolean>;
}

/** How long a call may take to send its message, in ms. */
const MESSAGE_MS = 7_000;
/**
 * A connection without a call is closed after so many ms: clients connect again by themselves, and who only holds connections
 * keeps others out for no longer.
 */
const IDLE_MS = 30_000;

const LIMITS = Object.freeze({
  'grpc.max_concurrent_streams': 256,
  'grpc.max_connection_idle_ms': IDLE_MS,
  // Of its headers and what waits to be sent, in MB; without it grpc-js sets no limit.
  'grpc-node.max_session_memory': 32,
  'grpc.enable_channelz': 0,
});

/** Rejects with Node's error where the server cannot listen on the address. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const calls = new WeakMap<Metadata, CallUnderWay>();
  const server = new Server({
    ...LIMITS,
    'grpc.max_receive_message_length': options.mostBytes,
    interceptors: [letIn(options.serve, calls)],
  });
  server.addService(readService(), Object.fromEntries(RPCS.map((rpc) => [rpc, answering(calls)])));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const open = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    injector.injectConnection(socket);
  });
  listener.maxConnections = options.connections;
  await listen(listener, options);
  return {
    port: (listener.address() as AddressInfo).port,
    async listenOn({ leastMs, mostMs }) {
      await pause(leastMs);
      if (open.size > 0) await pause(mostMs - leastMs);
    },
    close: (graceMs) => closeGently(server, listener, open, graceMs),
  };
}

function readService(): ServiceDefinition {
  const { inference } = loadPackageDefinition(loadSync(PROTOCOL.file, DECODING)) as unknown as {
    inference: Record<string, ServiceClientConstructor>;
  };
  const { service } = inference[PROTOCOL.service] as ServiceClientConstructor;
  const methods = Object.entries(service).map(([name, method]) => {
    const { requestDeserialize } = method;
    return [name, { ...method, requestDeserialize: (bytes: Buffer) => readOr(requestDeserialize, bytes) }] as const;
  });
  return Object.fromEntries(methods);
}

/** In the place of a message that cannot be read: grpc-js would answer it with an internal error. */
const MALFORMED = Symbol('malformed');

function readOr(deserialize: (bytes: Buffer) => unknown, bytes: Buffer): unknown {
  try {
    return deserialize(bytes);
  } catch {
    return MALFORMED;
  }
}

/** Where the service itself throws: the caller is told nothing of it. */
const DEFECT: GrpcReply = { refusal: { code: 'INTERNAL', text: 'The service met an error.', trailers: {} } };

/** A call from its metadata to its answer. */
interface CallUnderWay {
  readonly reply: Promise<GrpcReply>;
  /** Its message has come, and its handler sends the reply. */
  take(message: unknown): void;
}

/** Asks for each call whether it is let in; else it is refused before its message is read. */
function letIn(serve: ServeCall, calls: WeakMap<Metadata, CallUnderWay>): ServerInterceptor {
  return ({ path }, call) => {
    const rpc = path.slice(path.lastIndexOf('/') + 1) as RpcName;
    const arrival = Promise.withResolvers<unknown>();
    // A call may end before anybody waits for its message.
    arrival.promise.catch(() => {});
    const listeners: (() => void)[] = [];
    let isTaken = false;
    let isAnswered = false;
    let isGone = false;
    let late: NodeJS.Timeout | undefined;

    function begin(metadata: Metadata, next: (metadata: Metadata) => void): void {
      const header = (name: string) => (name === 'host' ? call.getHost() : headerIn(metadata, name));
      const onGone = (tell: () => void) => (isGone ? tell() : void listeners.push(tell));
      const asked = { url: path, header, leftMs: () => leftUntil(call.getDeadline()), onGone };
      const reply = Promise.withResolvers<GrpcReply>();
      const take = (message: unknown) => {
        isTaken = true;
        clearTimeout(late);
        if (message === MALFORMED) arrival.reject(malformed());
        else arrival.resolve(message);
      };
      calls.set(metadata, { reply: reply.promise, take });
      const read = () => {
        late = setTimeout(() => arrival.reject(tooSlow()), MESSAGE_MS);
        next(metadata);
        return arrival.promise;
      };
      const answer = (found: GrpcReply) => {
        isAnswered = true;
        reply.resolve(found);
        if (!isTaken && 'refusal' in found) call.sendStatus(statusOf(found.refusal));
      };
      serve(rpc, asked, read).then(answer, () => answer(DEFECT));
    }

    /** At the end of each call, answered or not. */
    function end(): void {
      clearTimeout(late);
      if (isAnswered) return;
      isGone = true;
      if (!isTaken) arrival.reject(brokenOff());
      for (const tell of listeners) tell();
    }

    const listener = new ServerListenerBuilder().withOnReceiveMetadata(begin).withOnCancel(end).build();
    return new ServerInterceptingCall(call, { start: (next) => next(listener) });
  };
}

function answering(calls: WeakMap<Metadata, CallUnderWay>): handleUnaryCall<unknown, object> {
  return ({ metadata, request }: ServerUnaryCall<unknown, object>, callback) => {
    const call = calls.get(metadata);
    if (!call) throw new Error('a call without its beginning');
    call.take(request);
    void call.reply.then((reply) => {
      if ('response' in reply) callback(null, reply.response);
      else callback(statusOf(reply.refusal));
    });
  };
}

function headerIn(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return value?.toString();
}

function leftUntil(deadline: Date | number): number {
  return Math.max(0, Number(deadline) - Date.now());
}

function statusOf({ code, text, trailers }: GrpcRefusal): StatusObject {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  return { code: status[code], details: text, metadata };
}

function listen(listener: Listener, { host, port }: GrpcServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, host, () => {
      listener.off('error', reject);
      // A connection could not be accepted, as without a free file descriptor.
      listener.on('error', () => {});
      resolve();
    });
  });
}

async function closeGently(
  server: Server,
  listener: Listener,
  open: ReadonlySet<Socket>,
  graceMs: number,
): Promise<boolean> {
  // Sends GOAWAY: a connection ends after its last call. What it calls back is too early: Node's own `close` of the server
  // marks connections as closed that have calls under way.
  server.tryShutdown(() => {});
  const finished = new Promise<boolean>((resolve) => listener.close(() => resolve(true)));
  const patience = new AbortController();
  const late = pause(graceMs, false, { signal: patience.signal }).catch(() => false);
  const isInTime = await Promise.race([finished, late]);
  patience.abort();
  // grpc-js's own forceShutdown knows connections only with channelz.
  for (const socket of open) socket.destroy();
  return isInTime;
}

function tooSlow(): RequestError {
  const remedy = 'send it at once, after the metadata';
  return new RequestError('request_timeout', `The message did not arrive within ${MESSAGE_MS / 1000} s.`, { remedy });
}

function malformed(): RequestError {
  const remedy = 'send the message of open_inference_grpc.proto';
  return new RequestError('malformed_request', 'The message is not of the form that the protocol gives it.', {
    remedy,
  });
}

function brokenOff(): RequestError {
  return new RequestError('malformed_request', 'The call ended before its message had arrived.');
}
