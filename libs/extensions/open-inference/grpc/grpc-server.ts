/**
 * The protocol's service over gRPC, without TLS. The server limits the cost of a connection, checks access before it
 * reads a call's message, and drains without losing an answer.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as Listener, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type handleUnaryCall,
  loadPackageDefinition,
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  ServerListenerBuilder,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type ServiceDefinition,
  type StatusObject,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { HttpServer } from '@tandem/http-server/server';
import { countEntries } from './count-entries.ts';
import { type ConnectionCall, GrpcConnections } from './grpc-connections.ts';
import { assertPrivateParts, onStreamClosed, takeOneMessage } from './private-call.ts';

const RPCS = ['ServerLive', 'ServerReady', 'ModelReady', 'ServerMetadata', 'ModelMetadata', 'ModelInfer'] as const;
export type RpcName = (typeof RPCS)[number];

interface GrpcCall {
  /** The rpc's path. */
  readonly url: string;
  /** Returns a value of the request's metadata by its name in lower case; for `host`, the authority. */
  header(name: string): string | undefined;
  /** Returns the milliseconds until the caller's deadline; Infinity without a deadline. */
  leftMs(): number;
  /** Calls back when the caller disconnects before the answer, or when its deadline passes. */
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
 * @param message reads the call's message; to be called once, after the access check
 */
export type ServeCall = (rpc: RpcName, call: GrpcCall, message: () => Promise<unknown>) => Promise<GrpcReply>;

interface GrpcServerOptions {
  readonly host: string;
  /** The port; 0 for any free port. */
  readonly port: number;
  /** The most open connections. */
  readonly connections: number;
  /** The most bytes of a request. */
  readonly mostBytes: number;
  /** The most bytes of an answer's outputs. */
  readonly mostAnswerBytes: number;
  readonly serve: ServeCall;
}

/** How long a call may take to send its message, in ms. */
const MESSAGE_MS = 7_000;
/** Milliseconds after which a connection without a call gets GOAWAY; clients reconnect automatically. */
const IDLE_MS = 30_000;
/** How long a client may take to read an answer, or to close its connection after GOAWAY, in ms. */
const TAKING_MS = 8_000;
const LOOK_MS = 500;
/** The most messages in transit at once. */
const MOST_ARRIVING = 256;
/** Further bytes of an answer: for other fields, and for typed integers, which may need more bytes than raw ones. */
const HEAD_BYTES = 1_048_576;

const LIMITS = Object.freeze({
  'grpc.max_concurrent_streams': 64,
  'grpc.max_connection_idle_ms': IDLE_MS,
  // The limit for headers and unsent data of a connection, in MB. grpc-js has no limit by default.
  'grpc-node.max_session_memory': 32,
  'grpc.enable_channelz': 0,
});

/** The proto file and how it is read: 64-bit integers become objects, so that none loses digits. */
const PROTOCOL = { file: join(import.meta.dirname, 'open_inference_grpc.proto'), service: 'GRPCInferenceService' };
const DECODING = { keepCase: true, defaults: true };

/**
 * Starts the server, which drains like an HTTP server. Rejects with `config_invalid` if grpc-js has other internals, or
 * with Node's error.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<HttpServer> {
  // grpc-js writes invalid metadata to stderr with their values, such as a mistyped key.
  setLogVerbosity(logVerbosity.NONE);
  await assertPrivateParts();
  const connections = new GrpcConnections({
    most: options.connections,
    idleMs: IDLE_MS + TAKING_MS,
    takingMs: TAKING_MS,
  });
  const serving: Serving = { serve: options.serve, connections, calls: new WeakMap(), arriving: 0 };
  const server = new Server({
    ...LIMITS,
    'grpc.max_receive_message_length': options.mostBytes,
    'grpc.max_send_message_length': options.mostAnswerBytes + HEAD_BYTES,
    interceptors: [({ path }, call) => new CallUnderWay(serving, path, call).intercepted()],
  });
  server.addService(readService(), Object.fromEntries(RPCS.map((rpc) => [rpc, answering(serving.calls)])));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer({ noDelay: true }, (socket) => {
    if (connections.take(socket)) injector.injectConnection(socket);
  });
  await listen(listener, options);
  const looking = setInterval(() => connections.look(), LOOK_MS).unref();
  listener.once('close', () => clearInterval(looking));
  return {
    port: (listener.address() as AddressInfo).port,
    async listenOn({ leastMs, mostMs }) {
      await pause(leastMs);
      if (connections.open.size > 0) await pause(mostMs - leastMs);
    },
    close: (graceMs) => closeGently(server, listener, () => connections.open.keys(), graceMs),
  };
}

/** Reads the protocol's service from its proto file. */
function readService(): ServiceDefinition {
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
class UnreadMessage {
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

/** The reply if the service itself throws. It contains no details of the error. */
const DEFECT: GrpcReply = { refusal: { code: 'INTERNAL', text: 'The service failed with an error.', trailers: {} } };

/** What the calls of a server share. */
interface Serving {
  readonly serve: ServeCall;
  readonly connections: GrpcConnections;
  /** The calls in progress, by their metadata. */
  readonly calls: WeakMap<Metadata, CallUnderWay>;
  /** The number of messages in transit. */
  arriving: number;
}

/** A call in progress. It is passed to `serve`, which may answer it before its message is read. */
class CallUnderWay {
  readonly #serving: Serving;
  readonly #path: string;
  readonly #call: ServerInterceptingCallInterface;
  readonly #onConnection: ConnectionCall;
  readonly #arrival = Promise.withResolvers<unknown>();
  readonly #reply = Promise.withResolvers<GrpcReply>();
  readonly #listeners: (() => void)[] = [];
  #hasMessage = false;
  #isTaken = false;
  #isAnswered = false;
  #isGone = false;
  #late: NodeJS.Timeout | undefined;

  constructor(serving: Serving, path: string, call: ServerInterceptingCallInterface) {
    this.#serving = serving;
    this.#path = path;
    this.#call = call;
    this.#onConnection = serving.connections.begin(call.getPeer());
    // The call is over when its stream closes.
    onStreamClosed(call, this.#onConnection.over);
    takeOneMessage(call);
    // A call may end before anything waits for its message.
    this.#arrival.promise.catch(() => {});
  }

  get reply(): Promise<GrpcReply> {
    return this.#reply.promise;
  }

  /** Returns the call with its listener, for grpc-js. */
  intercepted(): ServerInterceptingCall {
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => this.#begin(metadata, next))
      .withOnReceiveMessage((message, next) => {
        this.#hasMessage = true;
        next(message);
      })
      .withOnReceiveHalfClose((next) => (this.#hasMessage ? next() : this.#arrival.reject(truncated())))
      .withOnCancel(() => this.#end())
      .build();
    return new ServerInterceptingCall(this.#call, { start: (next) => next(listener) });
  }

  /** Passes on the message that has arrived. The handler then sends the reply. */
  take(message: unknown): void {
    this.#isTaken = true;
    clearTimeout(this.#late);
    if (message instanceof UnreadMessage) this.#arrival.reject(message.error);
    else this.#arrival.resolve(message);
  }

  #begin(metadata: Metadata, next: (metadata: Metadata) => void): void {
    const call = this.#call;
    const asked: GrpcCall = {
      url: this.#path,
      header: (name) => (name === 'host' ? call.getHost() : metadata.get(name)[0]?.toString()),
      leftMs: () => Math.max(0, Number(call.getDeadline()) - Date.now()),
      onGone: (tell) => (this.#isGone ? tell() : void this.#listeners.push(tell)),
    };
    this.#serving.calls.set(metadata, this);
    const rpc = this.#path.slice(this.#path.lastIndexOf('/') + 1) as RpcName;
    this.#serving
      .serve(rpc, asked, () => this.#read(() => next(metadata)))
      .then(
        (reply) => this.#answer(reply),
        () => this.#answer(DEFECT),
      );
  }

  #read(next: () => void): Promise<unknown> {
    const serving = this.#serving;
    if (serving.arriving >= MOST_ARRIVING) return Promise.reject(tooMany());
    serving.arriving++;
    const { promise, reject } = this.#arrival;
    const arrived = () => serving.arriving--;
    promise.then(arrived, arrived);
    this.#late = setTimeout(() => reject(tooSlow()), MESSAGE_MS);
    next();
    return promise;
  }

  #answer(reply: GrpcReply): void {
    const call = this.#call;
    this.#isAnswered = true;
    clearTimeout(this.#late);
    this.#reply.resolve(reply);
    this.#onConnection.answered();
    if (this.#isTaken) return;
    if ('refusal' in reply) call.sendStatus(statusOf(reply.refusal));
    // The answer does not depend on the message.
    else call.sendMessage(reply.response, () => call.sendStatus({ code: status.OK, details: 'OK', metadata: null }));
  }

  /** Runs at the end of each call, answered or not. */
  #end(): void {
    clearTimeout(this.#late);
    if (this.#isAnswered) return;
    this.#isGone = true;
    if (!this.#isTaken) this.#arrival.reject(truncated());
    for (const tell of this.#listeners) tell();
  }
}

function answering(calls: WeakMap<Metadata, CallUnderWay>): handleUnaryCall<unknown, object> {
  return ({ metadata, request }: ServerUnaryCall<unknown, object>, callback) => {
    const call = calls.get(metadata);
    if (!call) throw new Error('this call did not pass the interceptor');
    call.take(request);
    void call.reply.then((reply) => {
      if ('response' in reply) callback(null, reply.response);
      else callback(statusOf(reply.refusal));
    });
  };
}

function statusOf({ code, text, trailers }: GrpcRefusal): StatusObject {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  return { code: status[code], details: text, metadata };
}

async function listen(listener: Listener, { host, port }: GrpcServerOptions): Promise<void> {
  await once(listener.listen(port, host), 'listening');
  // Accepting a connection may fail, for example without a free file descriptor.
  listener.on('error', () => {});
}

async function closeGently(
  server: Server,
  listener: Listener,
  open: () => Iterable<Socket>,
  graceMs: number,
): Promise<boolean> {
  // Sends GOAWAY, so that a connection ends after its last call. Its callback comes too early, since Node's `close` of
  // the server counts connections with calls in progress as closed.
  server.tryShutdown(() => {});
  const finished = new Promise<boolean>((resolve) => listener.close(() => resolve(true)));
  const patience = new AbortController();
  const late = pause(graceMs, false, { signal: patience.signal }).catch(() => false);
  const isInTime = await Promise.race([finished, late]);
  patience.abort();
  // `forceShutdown` of grpc-js knows connections only if channelz is on.
  for (const socket of open()) socket.destroy();
  return isInTime;
}

function tooSlow(): TandemError {
  const remedy = 'send the message immediately after the metadata';
  return new TandemError('request_timeout', `The message did not arrive within ${MESSAGE_MS / 1000} s.`, { remedy });
}

function tooMany(): TandemError {
  const text = `The server is already receiving ${MOST_ARRIVING} messages, which is the limit.`;
  return new TandemError('overloaded', text, { retryAfter: 1, remedy: 'retry after the time in Retry-After' });
}

function truncated(): TandemError {
  return new TandemError('malformed_request', 'The call ended before its message had arrived.');
}

function malformed(): TandemError {
  const remedy = 'send a message as defined in open_inference_grpc.proto';
  return new TandemError('malformed_request', 'The message does not have the form of the protocol.', {
    remedy,
  });
}
