/**
 * Limits the connections of the gRPC port. At the limit, a new connection replaces the connection with the longest time
 * without a call. If every connection has a call that waits for an answer, the new connection is closed. A connection
 * that exceeds its idle time, or does not read an answer in time, is destroyed, since its client may ignore every
 * request to close.
 */
import type { Socket } from 'node:net';

/** A call of a connection. It is answered first, and is over when its stream has closed. */
export interface ConnectionCall {
  answered(): void;
  over(): void;
}

interface ConnectionsOptions {
  readonly most: number;
  readonly idleMs: number;
  /** How long a client may take to read an answer, in ms. */
  readonly takingMs: number;
  readonly now?: () => number;
}

interface OpenConnection {
  /** The number of calls that wait for an answer. */
  waiting: number;
  /** The time of the last answer, or of the connection's start. */
  idleSince: number;
  /** The time of the answer, for each answered call with an open stream. */
  readonly leaving: Map<ConnectionCall, number>;
}

const NO_CALL: ConnectionCall = Object.freeze({ answered: () => {}, over: () => {} });

export class GrpcConnections {
  readonly #options: ConnectionsOptions;
  readonly #now: () => number;
  readonly #open = new Map<Socket, OpenConnection>();
  readonly #byPeer = new Map<string, OpenConnection>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The open connections. */
  get open(): ReadonlyMap<Socket, unknown> {
    return this.#open;
  }

  /** Keeps a connection if the limit allows it, else closes it. Returns whether it is kept. */
  take(socket: Socket): boolean {
    const { most } = this.#options;
    const idle = this.#open.size >= most ? this.#longestIdle() : undefined;
    if (idle) this.#leave(idle);
    if (this.#open.size >= most) {
      socket.destroy();
      return false;
    }
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const connection = { waiting: 0, idleSince: this.#now(), leaving: new Map<ConnectionCall, number>() };
    this.#open.set(socket, connection);
    this.#byPeer.set(peer, connection);
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer);
    });
    return true;
  }

  /**
   * Begins a call.
   * @param peer address and port of the client
   */
  begin(peer: string): ConnectionCall {
    const connection = this.#byPeer.get(peer);
    if (!connection) return NO_CALL;
    let isWaiting = true;
    connection.waiting++;
    const answered = () => {
      if (!isWaiting) return;
      isWaiting = false;
      connection.waiting--;
      connection.idleSince = this.#now();
      connection.leaving.set(call, connection.idleSince);
    };
    const call: ConnectionCall = {
      answered,
      over() {
        answered();
        connection.leaving.delete(call);
      },
    };
    return call;
  }

  /** Destroys the connections that exceeded a time limit. To be called at intervals. */
  look(): void {
    for (const [socket, connection] of this.#open) if (this.#isLate(connection)) this.#leave(socket);
  }

  #longestIdle(): Socket | undefined {
    let found: Socket | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const [socket, { waiting, idleSince }] of this.#open) {
      if (waiting > 0 || idleSince >= since) continue;
      found = socket;
      since = idleSince;
    }
    return found;
  }

  #leave(socket: Socket): void {
    socket.destroy();
    this.#open.delete(socket);
  }

  #isLate({ waiting, idleSince, leaving }: OpenConnection): boolean {
    const { idleMs, takingMs } = this.#options;
    const [answeredAt = Number.POSITIVE_INFINITY] = leaving.values();
    const now = this.#now();
    return now - answeredAt > takingMs || (waiting === 0 && leaving.size === 0 && now - idleSince > idleMs);
  }
}
