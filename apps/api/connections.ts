/**
 * Which connections are kept. There are places for so many; where none is left, whoever has been connected for longest
 * without a request under way makes room for the newcomer: a crowd that only holds connections keeps nobody out, nor a
 * probe that asks whether the service lives. Who sends a body is given time for it; who takes longer makes room too, where
 * nobody else does. Where every connection has its request, the newcomer is sent away at once.
 *
 * A connection on which nothing moves for a while is closed unless it waits for our answer: a client that is gone
 * without a word, or that does not read what it asked for, would hold it, and its answer, for ever.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { hasAsked, isAnswering, isSending } from './refused-request.ts';
import type { Part } from './routes/health/readiness.ts';

export interface Connections {
  /** Of this server; several may share the places. */
  keep(server: Server): void;
  /** Fails while newcomers find no place. */
  readonly part: Part;
}

export interface ConnectionsOptions {
  readonly most: number;
  readonly now?: () => number;
}

/** Milliseconds without a byte in either direction. Longer than a request may take (server.ts): whoever stops within one is told why it ends. */
const SILENCE_MS = 8_500;
/** For how long a newcomer may not have asked anything yet. */
const GRACE_MS = 1_000;
/** For how long whoever sends a body keeps its place before anybody: a body has 1 MiB at most. */
const SENDING_MS = 3_000;
/** How long the service says that it is full after it was. */
const FULL_MS = 5_000;

interface Held {
  readonly since: number;
  /** When the head of its last request came that may have a body. */
  sendingSince: number;
}

export function createConnections({ most, now = () => performance.now() }: ConnectionsOptions): Connections {
  /** In the order in which they came. */
  const open = new Map<Socket, Held>();
  let fullAt = Number.NEGATIVE_INFINITY;

  /** One that was answered and asks no more, or that has not asked anything for a second. */
  function longestIdle(): Socket | undefined {
    const young = now() - GRACE_MS;
    for (const [socket, { since }] of open) {
      if (isAnswering(socket) || isSending(socket)) continue;
      if (since <= young || hasAsked(socket)) return socket;
    }
    return undefined;
  }

  /** One whose body has been on its way for longer than most take. */
  function longestSending(): Socket | undefined {
    const slow = now() - SENDING_MS;
    for (const [socket, { sendingSince }] of open) if (isSending(socket) && sendingSince <= slow) return socket;
    return undefined;
  }

  function take(socket: Socket): void {
    if (open.size >= most) {
      const leaving = longestIdle() ?? longestSending();
      if (!leaving) {
        fullAt = now();
        socket.destroy();
        return;
      }
      leaving.destroy();
      open.delete(leaving);
    }
    open.set(socket, { since: now(), sendingSince: 0 });
    socket.once('close', () => open.delete(socket));
  }

  return {
    keep(server) {
      server.on('connection', take);
      server.on('request', ({ method, socket }) => {
        const held = method === 'GET' ? undefined : open.get(socket);
        if (held) held.sendingSince = now();
      });
      server.timeout = SILENCE_MS;
      server.on('timeout', (socket) => {
        if (!isAnswering(socket) || socket.writableLength > 0) socket.destroy();
      });
    },
    part: {
      name: 'connections',
      isEssential: true,
      async check() {
        if (now() - fullAt < FULL_MS) throw new Error(`all ${most} connections are taken`);
      },
    },
  };
}
