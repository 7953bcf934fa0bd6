/**
 * Limits how many connections a server keeps. When all places are taken, a newcomer replaces the connection that has been
 * idle for longest: idle connections cannot lock out new clients or probes. A connection that sends a body keeps its place for
 * a time. If every connection is in use, the newcomer replaces a connection that has sent nothing, or a connection between two
 * requests. If each waits for its answer, the newcomer is closed. In these last cases there are too few places, and readiness
 * says so.
 *
 * The server closes a connection on which no byte moves for a while, unless it waits for our answer. It also closes a
 * connection whose client takes too long to read an answer: else a slow client would hold the answer in memory.
 */
import { open as openFile } from 'node:fs/promises';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { devNull } from 'node:os';
import { hasAsked, isAnswering, isSending, untakenAnswer } from './asked-connection.ts';
import { createTurns } from './in-turns.ts';

export interface Connections {
  /** Limits the connections of this server; several servers may share the places. */
  keep(server: Server): void;
  /**
   * Fails while newcomers find no place, or only that of a connection in use, and while the process cannot open files.
   */
  readonly part: { readonly name: string; readonly isEssential: boolean; check(): Promise<void> };
}

interface ConnectionsOptions {
  readonly most: number;
  readonly now?: () => number;
}

/**
 * Milliseconds without a byte in either direction. Longer than a request may take (server.ts), so that a client that
 * stops within a request gets an error.
 */
const SILENCE_MS = 8_000;
/** For how long a whole answer may be on its way to its client. */
const TAKING_MS = 8_000;
/** The interval of this check. */
const LOOK_MS = 500;
/**
 * How long a newcomer may wait before its first request, and how long a connection counts as in use after a request.
 */
const GRACE_MS = 1_000;
/** Time after which a newcomer without a request makes room if no connection is idle: most send one at once. */
const HASTE_MS = 100;
/** How long a connection that sends a body keeps its place in any case: a body has at most 1 MiB. */
const SENDING_MS = 3_000;
/** How long the service says that it is full after it was. */
const FULL_MS = 5_000;

interface OpenConnection {
  /** When it came, or its last request. */
  usedAt: number;
  /** When the head of its last request came that may have a body. */
  sendingSince: number;
  /** An answer that its client had not read at the first check. */
  untaken?: { readonly answer: ServerResponse; readonly since: number } | undefined;
}

export function createConnections({ most, now = () => performance.now() }: ConnectionsOptions): Connections {
  /** In the order in which they came. */
  const open = new Map<Socket, OpenConnection>();
  const turns = createTurns();
  let fullAt = Number.NEGATIVE_INFINITY;

  /**
   * A connection without a request for a second; else a newcomer without a request; else a connection that was just
   * answered.
   */
  function longestIdle(): Socket | undefined {
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

  /** One whose body has been on its way for longer than most take. */
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
    const leaving = longestIdle() ?? longestSending();
    const connection = leaving && open.get(leaving);
    if (!connection || isInUse(connection)) fullAt = now();
    leaving?.destroy();
    return leaving !== undefined && open.delete(leaving);
  }

  /** Closes the connections that take too long to read their answers. */
  function look(): void {
    for (const [socket, connection] of open) {
      const answer = untakenAnswer(socket);
      if (!answer || connection.untaken?.answer !== answer) connection.untaken = answer && { answer, since: now() };
      else if (connection.untaken.since <= now() - TAKING_MS) turns.add(() => socket.destroy());
    }
  }

  /** Closes a connection without traffic in both directions. Waiting for our answer does not count as silence. */
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
        // Without a spare file descriptor, connections are refused without this process noticing.
        await (await openFile(devNull)).close();
      },
    },
  };
}
