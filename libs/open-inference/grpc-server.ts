/**
 * The protocol's service over gRPC, without TLS. The server limits the cost of a connection, checks access before it
 * reads a call's message, and drains without losing an answer.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as Listener, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type handleUnaryCall,
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerUnaryCall,
  type StatusObject,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import { TandemError } from '@tandem/freshness/errors';
import { type ConnectionCall, createGrpcConnections, type GrpcConnections } from './grpc-connections.ts';
import { assertPrivateParts, onStreamClosed, takeOneMessage } from './private-call.ts';
import { readService, UnreadMessage } from './read-service.ts';

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

export interface GrpcServer {
  readonly port: number;
  /** Continues to accept connections for `leastMs`, or up to `mostMs` while clients are connected. */
  listenOn(time: { readonly leastMs: number; readonly mostMs: number }): Promise<void>;
  /** Stops accepting connections and lets calls finish. Returns whether all finished within the grace period. */
  close(graceMs: number): Promise<boolean>;
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

/** Starts the server. Rejects with `config_invalid` if grpc-js has other internals, or with Node's error. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  // grpc-js writes invalid metadata to stderr with their values, such as a mistyped key.
  setLogVerbosity(logVerbosity.NONE);
  await assertPrivateParts();
  const calls = new WeakMap<Metadata, CallUnderWay>();
  const connections = createGrpcConnections({
    most: options.connections,
    idleMs: IDLE_MS + TAKING_MS,
    takingMs: TAKING_MS,
  });
  const server = new Server({
    ...LIMITS,
    'grpc.max_receive_message_length': options.mostBytes,
    'grpc.max_send_message_length': options.mostAnswerBytes + HEAD_BYTES,
    interceptors: [letIn(options.serve, calls, connections)],
  });
  server.addService(readService(), Object.fromEntries(RPCS.map((rpc) => [rpc, answering(calls)])));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer({ noDelay: true }, (socket) => {
    if (connections.take(socket)) injector.injectConnection(socket);
  });
  await listen(listener, options);
  const looking = setInterval(connections.look, LOOK_MS).unref();
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

/** The reply if the service itself throws. It contains no details of the error. */
const DEFECT: GrpcReply = { refusal: { code: 'INTERNAL', text: 'The service failed with an error.', trailers: {} } };

/** A call in progress, from its metadata to its answer. */
interface CallUnderWay {
  readonly reply: Promise<GrpcReply>;
  /** Passes on the message that has arrived. The handler then sends the reply. */
  take(message: unknown): void;
}

/** Returns an interceptor that passes each call to `serve`, which may answer it before its message is read. */
function letIn(
  serve: ServeCall,
  calls: WeakMap<Metadata, CallUnderWay>,
  connections: GrpcConnections,
): ServerInterceptor {
  /** The number of messages in transit. */
  let arriving = 0;
  return ({ path }, call) => {
    const rpc = path.slice(path.lastIndexOf('/') + 1) as RpcName;
    const arrival = Promise.withResolvers<unknown>();
    // A call may end before anything waits for its message.
    arrival.promise.catch(() => {});
    const onConnection = callOf(call, connections);
    takeOneMessage(call);
    const listeners: (() => void)[] = [];
    let hasMessage = false;
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
        if (message instanceof UnreadMessage) arrival.reject(message.error);
        else arrival.resolve(message);
      };
      calls.set(metadata, { reply: reply.promise, take });
      const read = () => {
        if (arriving >= MOST_ARRIVING) return Promise.reject(tooMany());
        arriving++;
        const arrived = () => arriving--;
        arrival.promise.then(arrived, arrived);
        late = setTimeout(() => arrival.reject(tooSlow()), MESSAGE_MS);
        next(metadata);
        return arrival.promise;
      };
      const answer = (found: GrpcReply) => {
        isAnswered = true;
        clearTimeout(late);
        reply.resolve(found);
        onConnection.answered();
        if (isTaken) return;
        if ('refusal' in found) call.sendStatus(statusOf(found.refusal));
        // The answer does not depend on the message.
        else
          call.sendMessage(found.response, () => call.sendStatus({ code: status.OK, details: 'OK', metadata: null }));
      };
      serve(rpc, asked, read).then(answer, () => answer(DEFECT));
    }

    /** Runs at the end of each call, answered or not. */
    function end(): void {
      clearTimeout(late);
      if (isAnswered) return;
      isGone = true;
      if (!isTaken) arrival.reject(truncated());
      for (const tell of listeners) tell();
    }

    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata(begin)
      .withOnReceiveMessage((message, next) => {
        hasMessage = true;
        next(message);
      })
      .withOnReceiveHalfClose((next) => (hasMessage ? next() : arrival.reject(truncated())))
      .withOnCancel(end)
      .build();
    return new ServerInterceptingCall(call, { start: (next) => next(listener) });
  };
}

/** Begins a call on its connection. The call is over when its stream closes. */
function callOf(call: ServerInterceptingCallInterface, connections: GrpcConnections): ConnectionCall {
  const found = connections.begin(call.getPeer());
  onStreamClosed(call, found.over);
  return found;
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
