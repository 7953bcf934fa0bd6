/**
 * Drains a server without losing an answer. Only a client knows whether it has sent a request, so that closing a connection
 * that looks idle here could reset that request. The server first accepts connections for a while longer, until the proxy in
 * front has noticed that it is not ready. Then it stops listening, answers what arrives on open connections, marks each answer
 * as the last (`Connection: close`; RFC 9112, 9.6), and ends connections that stay idle, its own direction first.
 *
 * It does not send clients away before it stops listening: a client without a proxy would reconnect at once, and Node accepts
 * one connection a turn. In a test, forty such clients waited in the kernel's queue, and most were reset with it.
 */
import type { Server, ServerResponse } from 'node:http';
import { Server as Listener, type Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { closeBehind, closeLingering, isAnswered, isClosing, lastResponse } from './asked-connection.ts';

/** Milliseconds for which a draining server still accepts connections. */
export interface DrainTime {
  /** Even without connections: a proxy that has not noticed yet connects when it needs to. */
  readonly leastMs: number;
  /** At most that long, and only while clients are connected. */
  readonly mostMs: number;
}

export interface ServerDrain {
  /** Whether each answer has to be the last on its connection. */
  readonly isLeaving: boolean;
  /** Resolves when the server need no longer accept connections. */
  listenOn(time: DrainTime): Promise<void>;
  /**
   * Stops listening and lets requests under way finish; after the grace period closes the remaining connections.
   * @returns whether everything finished in time
   */
  close(graceMs: number): Promise<boolean>;
}

const LOOK_MS = 25;
/**
 * Number of checks in which a connection was idle before it is closed. Checks, not time: data that came while the
 * process was stopped has to be read first.
 */
const IDLE_LOOKS = 40;
/** Milliseconds for which an idle connection is left open at least. */
export const IDLE_MS = LOOK_MS * IDLE_LOOKS;
/** Turns of the event loop for which newcomers may keep the listener open when its time is over. */
const MOST_TURNS = 100;

interface Idleness {
  /** Looks in a row. */
  looks: number;
  /** The last request's response, when it was first seen idle, and what had come until then. */
  last: ServerResponse | undefined;
  bytesRead: number;
}

/**
 * Creates the drain of a server that does not listen yet.
 * @param settled resolves when connections that came before are accepted, and a listener that was closed before accepts none:
 *   after a turn of the event loop, unless another process accepts connections for this one
 */
export function createServerDrain(server: Server, settled: () => Promise<unknown> = turn): ServerDrain {
  const open = new Map<Socket, Idleness>();
  let isLeaving = false;
  let accepted = 0;
  let looking: NodeJS.Timeout | undefined;

  server.on('connection', (socket) => {
    accepted++;
    open.set(socket, { looks: 0, last: undefined, bytesRead: 0 });
    socket.once('close', () => open.delete(socket));
  });

  function look(): void {
    for (const [socket, idleness] of open) {
      countIdle(socket, idleness);
      if (isLeaving && idleness.looks > IDLE_LOOKS && !isClosing(socket)) closeLingering(socket);
    }
  }

  /**
   * The kernel resets connections that were not accepted yet when the listener closes. Node accepts one waiting
   * connection in each turn of the event loop. So after a turn without a new connection none waits, except a
   * connection that came in that turn.
   */
  async function acceptWaiting(): Promise<void> {
    for (let turns = 0, before = -1; before !== accepted && turns < MOST_TURNS; turns++) {
      before = accepted;
      await settled();
    }
  }

  async function leave(): Promise<void> {
    // HTTP's close would destroy each connection that looks idle, and stop checking time limits.
    Listener.prototype.close.call(server);
    // A client that is sent away connects again at once: the listener must not accept it then.
    if (settled !== turn) await settled();
    isLeaving = true;
    for (const socket of open.keys()) {
      const last = lastResponse(socket);
      if (last && !last.headersSent) closeBehind(last, socket);
    }
  }

  return {
    get isLeaving() {
      return isLeaving;
    },
    async listenOn({ leastMs, mostMs }) {
      looking = setInterval(look, LOOK_MS);
      const startedAt = performance.now();
      for (let tookMs = 0; tookMs < mostMs; tookMs = performance.now() - startedAt) {
        if (tookMs >= leastMs && open.size === 0) return;
        await pause(Math.min(LOOK_MS, mostMs - tookMs));
      }
    },
    async close(graceMs) {
      looking ??= setInterval(look, LOOK_MS);
      await acceptWaiting();
      const closed = new Promise((resolve) => server.once('close', resolve));
      await leave();
      let isInTime = true;
      const patience = setTimeout(() => {
        isInTime = false;
        server.closeAllConnections();
      }, graceMs);
      await closed;
      clearInterval(looking);
      clearTimeout(patience);
      // Ends its looking at time limits.
      server.close();
      return isInTime;
    },
  };
}

function countIdle(socket: Socket, idleness: Idleness): void {
  const last = lastResponse(socket);
  if (!isAnswered(socket)) idleness.looks = 0;
  else if (idleness.last !== last) Object.assign(idleness, { looks: 0, last, bytesRead: socket.bytesRead });
  // Else a request has begun to come: its answer ends the connection, or its time limit does.
  else if (socket.bytesRead === idleness.bytesRead) idleness.looks++;
}
