/**
 * Limits how many connections the gRPC port keeps. When all places are taken, a newcomer replaces the connection that has been
 * longest without a call; if each has a call that waits for its answer, the newcomer is closed. A connection that stays open
 * beyond its idle time, or does not take an answer in time, is destroyed: its client may ignore every request to close.
 */
import type { Socket } from 'node:net';

export interface GrpcConnections {
  /** The open connections. */
  readonly open: ReadonlyMap<Socket, unknown>;
  /** Keeps a connection if there is a place, else closes it. Returns whether it is kept. */
  take(socket: Socket): boolean;
  /** Begins a call. @param peer address and port of the client */
  begin(peer: string): ConnectionCall;
  /** Destroys the connections that are late; to be called every now and then. */
  look(): void;
}

/** A call of a connection: answered, and then over when its stream has closed. */
export interface ConnectionCall {
  answered(): void;
  over(): void;
}

interface ConnectionsOptions {
  readonly most: number;
  readonly idleMs: number;
  /** How long an answer may be on its way. */
  readonly takingMs: number;
  readonly now?: () => number;
}

interface OpenConnection {
  /** Calls that wait for our answer. */
  waiting: number;
  /** Since the last answer, or since it came. */
  idleSince: number;
  /** When each call was answered whose stream is still open. */
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
