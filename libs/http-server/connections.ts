/**
 * Limits the connections of a server. At the limit, a new connection replaces an idle connection, so idle connections
 * cannot lock out new clients or probes. A connection that sends a body is kept for a time. If every connection is in
 * use, the new one replaces a connection that has sent nothing, or is between two requests. If all connections wait for
 * their answers, the new one is closed. In these last cases the limit is too low, and readiness reports it.
 *
 * The server closes a connection without traffic for a while, unless the client waits for an answer. It also closes a
 * connection if its client takes too long to read an answer, since the answer stays in memory.
 */
import { open as openFile } from 'node:fs/promises';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { devNull } from 'node:os';
import { hasAsked, isAnswering, isSending, untakenAnswer } from './asked-connection.ts';
import { createTurns } from './in-turns.ts';

export interface Connections {
  /** Limits the connections of this server. Several servers may share the limit. */
  keep(server: Server): void;
  /**
   * The part of readiness. It fails while new connections are rejected or replace a connection in use, and while the
   * process cannot open files.
   */
  readonly part: { readonly name: string; readonly isEssential: boolean; check(): Promise<void> };
}

interface ConnectionsOptions {
  readonly most: number;
  readonly now?: () => number;
}

/**
 * Milliseconds without a byte in either direction. It is longer than the time limit of a request (server.ts), so that a
 * client that stops within a request gets an error.
 */
const SILENCE_MS = 8_000;
/** How long a client may take to read a complete answer, in ms. */
const TAKING_MS = 8_000;
/** The interval of the check for slow readers, in ms. */
const LOOK_MS = 500;
/** How long a connection counts as in use after its start and after a request, in ms. */
const GRACE_MS = 1_000;
/**
 * Milliseconds after which a new connection without a request may be replaced if no connection is idle. Most send a
 * request immediately.
 */
const HASTE_MS = 100;
/** How long a connection that sends a body cannot be replaced, in ms. A body has at most 1 MiB. */
const SENDING_MS = 3_000;
/** Milliseconds for which readiness fails after a new connection was rejected or replaced a connection in use. */
const FULL_MS = 5_000;

interface OpenConnection {
  /** The time of the last request, or of the connection's start. */
  usedAt: number;
  /** The time at which the head of the last request that may have a body arrived. */
  sendingSince: number;
  /** An answer that the client had not read at an earlier check. */
  untaken?: { readonly answer: ServerResponse; readonly since: number } | undefined;
}

export function createConnections({ most, now = () => performance.now() }: ConnectionsOptions): Connections {
  /** Open connections in the order in which they were accepted. */
  const open = new Map<Socket, OpenConnection>();
  const turns = createTurns();
  let fullAt = Number.NEGATIVE_INFINITY;

  /**
   * Returns a connection to replace: the oldest connection that has had no request for a second; else a new connection
   * without a request; else a connection that was just answered. It need not be the connection with the longest idle
   * time: an order by last request would cost every request.
   */
  function replaceable(): Socket | undefined {
    const haste = now() - HASTE_MS;
    let between: Socket | undefined;
    let silent: Socket | undefined;
    for (const [socket, connection] of open) {
      if (isAnswering(socket) || isSending(socket)) continue;
      if (!isInUse(connection)) return socket;
      if (hasAsked(socket)) between ??= socket;
      else if (connection.usedAt <= haste) silent ??= socket;
    }
    return silent ?? between;
  }

  function isInUse({ usedAt }: OpenConnection): boolean {
    return usedAt > now() - GRACE_MS;
  }

  /** Returns a connection that has been sending a body for longer than `SENDING_MS`. */
  function longestSending(): Socket | undefined {
    const slow = now() - SENDING_MS;
    for (const [socket, { sendingSince }] of open) if (isSending(socket) && sendingSince <= slow) return socket;
    return undefined;
  }

  function take(socket: Socket): void {
    if (open.size >= most && !makeRoom()) {
      socket.destroy();
      return;
    }
    open.set(socket, { usedAt: now(), sendingSince: 0 });
    socket.once('close', () => open.delete(socket));
  }

  function makeRoom(): boolean {
    const leaving = replaceable() ?? longestSending();
    const connection = leaving && open.get(leaving);
    if (!connection || isInUse(connection)) fullAt = now();
    leaving?.destroy();
    return leaving !== undefined && open.delete(leaving);
  }

  /** Closes connections if their clients take too long to read their answers. */
  function look(): void {
    for (const [socket, connection] of open) {
      const answer = untakenAnswer(socket);
      if (!answer || connection.untaken?.answer !== answer) connection.untaken = answer && { answer, since: now() };
      else if (connection.untaken.since <= now() - TAKING_MS) turns.add(() => socket.destroy());
    }
  }

  /** Closes a connection without traffic, unless its client waits for an answer. */
  function leave(socket: Socket): void {
    if (!isAnswering(socket) || socket.writableLength > 0) socket.destroy();
  }

  return {
    keep(server) {
      server.on('connection', take);
      server.on('request', ({ method, socket }) => {
        const connection = open.get(socket);
        if (!connection) return;
        connection.usedAt = now();
        if (method !== 'GET') connection.sendingSince = connection.usedAt;
      });
      server.timeout = SILENCE_MS;
      server.on('timeout', (socket) => turns.add(() => leave(socket)));
      const looking = setInterval(look, LOOK_MS).unref();
      server.once('close', () => clearInterval(looking));
    },
    part: {
      name: 'connections',
      isEssential: true,
      async check() {
        if (now() - fullAt < FULL_MS) throw new Error(`all ${most} connections are taken`);
        // Without a free file descriptor, connections fail and this process is not notified.
        await (await openFile(devNull)).close();
      },
    },
  };
}
