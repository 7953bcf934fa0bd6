/**
 * Which connections are kept. There are places for so many; where none is left, whoever has been connected for longest
 * without a request under way makes room for the newcomer: a crowd that only holds connections keeps nobody out, nor a
 * probe that asks whether the service lives. Where every connection has its request, the newcomer is sent away at once.
 *
 * A connection on which nothing moves for a while is closed unless it waits for our answer: a client that is gone
 * without a word, or that does not read what it asked for, would hold it, and its answer, for ever.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { isAnswering } from './refused-request.ts';
import type { Part } from './routes/health/readiness.ts';

export interface Connections {
  /** Of this server; several may share the places. */
  keep(server: Server): void;
  /** Fails while newcomers find no place. */
  readonly part: Part;
}

export interface ConnectionsOptions {
  readonly most: number;
  /** Milliseconds without a byte in either direction. */
  readonly silenceMs?: number;
  readonly now?: () => number;
}

const SILENCE_MS = 8_000;
/** How long the service says that it is full after it was. */
const FULL_MS = 5_000;

export function createConnections({
  most,
  silenceMs = SILENCE_MS,
  now = () => performance.now(),
}: ConnectionsOptions): Connections {
  /** In the order in which they came. */
  const open = new Set<Socket>();
  let fullAt = Number.NEGATIVE_INFINITY;

  function take(socket: Socket): void {
    if (open.size >= most) {
      fullAt = now();
      const idle = open.values().find((one) => !isAnswering(one));
      (idle ?? socket).destroy();
      if (!idle) return;
      open.delete(idle);
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  }

  return {
    keep(server) {
      server.on('connection', take);
      server.timeout = silenceMs;
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
