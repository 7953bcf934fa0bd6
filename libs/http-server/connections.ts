/**
 * Limits how many connections a server keeps. When all places are taken, a newcomer replaces the connection that has been
 * idle for longest: idle connections cannot lock out new clients or probes. A connection that sends a body keeps its place for
 * a time. If every connection is in use, the newcomer replaces one that has sent nothing, or one between two requests. If each
 * waits for its answer, the newcomer is closed. In these last cases there are too few places, and readiness says so.
 *
 * The server closes a connection on which no byte moves for a while, unless it waits for our answer. It also closes one that
 * takes too long to read an answer: else a client that reads a byte now and then would hold the answer in memory.
 */
import { open as openFile } from 'node:fs/promises';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { devNull } from 'node:os';
import { hasAsked, isAnswering, isSending, untakenAnswer } from './asked-connection.ts';
import { createTurns } from './in-turns.ts';

export interface Connections {
  /** Of this server; several may share the places. */
  keep(server: Server): void;
  /** Fails while newcomers find no place, or only that of somebody who used it, and where the process may open no file. */
  readonly part: { readonly name: string; readonly isEssential: boolean; check(): Promise<void> };
}

interface ConnectionsOptions {
  readonly most: number;
  readonly now?: () => number;
}

/** Milliseconds without a byte in either direction. Longer than a request may take (server.ts): whoever stops within one is told why it ends. */
const SILENCE_MS = 8_000;
/** For how long a whole answer may be on its way to its client. */
const TAKING_MS = 8_000;
/** How often that is looked at. */
const LOOK_MS = 500;
/** For how long a newcomer may not have asked anything yet, and whoever asked counts as using its connection. */
const GRACE_MS = 1_000;
/** After how long a newcomer who has not asked anything makes room where nobody is idle: most ask at once. */
const HASTE_MS = 100;
/** For how long whoever sends a body keeps its place before anybody: a body has 1 MiB at most. */
const SENDING_MS = 3_000;
/** How long the service says that it is full after it was. */
const FULL_MS = 5_000;

interface OpenConnection {
  /** When it came, or its last request. */
  usedAt: number;
  /** When the head of its last request came that may have a body. */
  sendingSince: number;
  /** An answer that its client had not taken when it was first looked at. */
  untaken?: { readonly answer: ServerResponse; readonly since: number } | undefined;
}

export function createConnections({ most, now = () => performance.now() }: ConnectionsOptions): Connections {
  /** In the order in which they came. */
  const open = new Map<Socket, OpenConnection>();
  const turns = createTurns();
  let fullAt = Number.NEGATIVE_INFINITY;

  /** Whoever has not asked anything for a second; else who came and said nothing; else one that was answered a moment ago. */
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

  /** Closes the connections of those who take too long to take their answers. */
  function look(): void {
    for (const [socket, connection] of open) {
      const answer = untakenAnswer(socket);
      if (!answer || connection.untaken?.answer !== answer) connection.untaken = answer && { answer, since: now() };
      else if (connection.untaken.since <= now() - TAKING_MS) turns.add(() => socket.destroy());
    }
  }

  /** Of whom nothing was heard, and who takes nothing. Waiting for our answer is no silence. */
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
        // Without one to spare, connections are refused of which nobody here hears.
        await (await openFile(devNull)).close();
      },
    },
  };
}
