/**
 * Limits the connections of the gRPC port. At the limit, a new connection replaces the connection with the longest time
 * without a call. If every connection has a call that waits for an answer, the new connection is closed. A connection
 * that exceeds its idle time, or does not read an answer in time, is destroyed, since its client may ignore every
 * request to close.
 */
import type { Socket } from 'node:net';

export interface GrpcConnections {
  /** The open connections. */
  readonly open: ReadonlyMap<Socket, unknown>;
  /** Keeps a connection if the limit allows it, else closes it. Returns whether it is kept. */
  take(socket: Socket): boolean;
  /**
   * Begins a call.
   * @param peer address and port of the client
   */
  begin(peer: string): ConnectionCall;
  /** Destroys the connections that exceeded a time limit. To be called at intervals. */
  look(): void;
}

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

export function createGrpcConnections(options: ConnectionsOptions): GrpcConnections {
  const { most, idleMs, takingMs, now = () => performance.now() } = options;
  const open = new Map<Socket, OpenConnection>();
  const byPeer = new Map<string, OpenConnection>();

  function longestIdle(): Socket | undefined {
    let found: Socket | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const [socket, { waiting, idleSince }] of open) {
      if (waiting > 0 || idleSince >= since) continue;
      found = socket;
      since = idleSince;
    }
    return found;
  }

  function leave(socket: Socket): void {
    socket.destroy();
    open.delete(socket);
  }

  function isLate({ waiting, idleSince, leaving }: OpenConnection): boolean {
    const [answeredAt = Number.POSITIVE_INFINITY] = leaving.values();
    return now() - answeredAt > takingMs || (waiting === 0 && leaving.size === 0 && now() - idleSince > idleMs);
  }

  return {
    open,
    take(socket) {
      const idle = open.size >= most ? longestIdle() : undefined;
      if (idle) leave(idle);
      if (open.size >= most) {
        socket.destroy();
        return false;
      }
      const peer = `${socket.remoteAddress}:${socket.remotePort}`;
      const connection = { waiting: 0, idleSince: now(), leaving: new Map<ConnectionCall, number>() };
      open.set(socket, connection);
      byPeer.set(peer, connection);
      socket.once('close', () => {
        open.delete(socket);
        if (byPeer.get(peer) === connection) byPeer.delete(peer);
      });
      return true;
    },
    begin(peer) {
      const connection = byPeer.get(peer);
      if (!connection) return NO_CALL;
      let isWaiting = true;
      connection.waiting++;
      const answered = () => {
        if (!isWaiting) return;
        isWaiting = false;
        connection.waiting--;
        connection.idleSince = now();
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
    },
    look() {
      for (const [socket, connection] of open) if (isLate(connection)) leave(socket);
    },
  };
}
