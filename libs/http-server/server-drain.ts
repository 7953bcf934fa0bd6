/**
 * Drains a server without losing an answer. A connection that looks idle here may carry a request that the client has
 * just sent, and closing it would reset that request. The server first continues to accept connections, until the proxy
 * in front has noticed that it is not ready. Then it stops listening, answers requests on open connections, and marks
 * each answer as the last (`Connection: close`; RFC 9112, 9.6). It ends connections that stay idle, its own direction
 * first.
 *
 * It does not close connections before it stops listening. A client without a proxy would reconnect at once, and Node
 * accepts only one connection in each turn. In a test, forty such clients waited in the kernel's queue, and most were
 * reset when the listener closed.
 */
import type { Server, ServerResponse } from 'node:http';
import { Server as Listener, type Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { closeBehind, closeLingering, isAnswered, isClosing, lastResponse } from './asked-connection.ts';

/** The time for which a draining server still accepts connections. */
export interface DrainTime {
  /** The least time in ms, even without connections: a proxy that has not noticed the drain may still connect. */
  readonly leastMs: number;
  /** The most time in ms, while clients are connected. */
  readonly mostMs: number;
}

const LOOK_MS = 25;
/**
 * The number of checks in which a connection must be idle before it is closed. Checks are counted instead of time, so
 * that data that arrived while the process was stopped is read first.
 */
const IDLE_LOOKS = 40;
/** The least time in ms for which an idle connection stays open. */
export const IDLE_MS = LOOK_MS * IDLE_LOOKS;
/** The most turns of the event loop for which new connections keep the listener open after its time. */
const MOST_TURNS = 100;

interface Idleness {
  /** The number of idle checks in a row. */
  looks: number;
  /** The response to the last request, when the connection was first seen idle. `bytesRead` is from the same time. */
  last: ServerResponse | undefined;
  bytesRead: number;
}

/** The drain of a server, which must not listen yet. */
export class ServerDrain {
  readonly #server: Server;
  readonly #settled: () => Promise<unknown>;
  readonly #open = new Map<Socket, Idleness>();
  #isLeaving = false;
  #accepted = 0;
  #looking: NodeJS.Timeout | undefined;

  /**
   * @param settled resolves when all earlier connections are accepted, and a closed listener accepts no more. By default
   * after a turn of the event loop; another process that accepts connections needs longer
   */
  constructor(server: Server, settled: () => Promise<unknown> = turn) {
    this.#server = server;
    this.#settled = settled;
    server.on('connection', (socket) => {
      this.#accepted++;
      this.#open.set(socket, { looks: 0, last: undefined, bytesRead: 0 });
      socket.once('close', () => this.#open.delete(socket));
    });
  }

  /** Whether each answer must be the last on its connection. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Resolves when the server need no longer accept connections. */
  async listenOn({ leastMs, mostMs }: DrainTime): Promise<void> {
    this.#lookOften();
    const startedAt = performance.now();
    for (let tookMs = 0; tookMs < mostMs; tookMs = performance.now() - startedAt) {
      if (tookMs >= leastMs && this.#open.size === 0) return;
      await pause(Math.min(LOOK_MS, mostMs - tookMs));
    }
  }

  /**
   * Stops listening and lets requests in progress finish. After the grace period, it closes the remaining connections.
   * @returns whether everything finished in time
   */
  async close(graceMs: number): Promise<boolean> {
    this.#lookOften();
    await this.#acceptWaiting();
    const closed = new Promise((resolve) => this.#server.once('close', resolve));
    await this.#leave();
    let isInTime = true;
    const patience = setTimeout(() => {
      isInTime = false;
      this.#server.closeAllConnections();
    }, graceMs);
    await closed;
    clearInterval(this.#looking);
    clearTimeout(patience);
    // Stops the checks of time limits.
    this.#server.close();
    return isInTime;
  }

  #lookOften(): void {
    this.#looking ??= setInterval(() => {
      for (const [socket, idleness] of this.#open) {
        countIdle(socket, idleness);
        if (this.#isLeaving && idleness.looks > IDLE_LOOKS && !isClosing(socket)) closeLingering(socket);
      }
    }, LOOK_MS);
  }

  /**
   * Accepts all waiting connections, because the kernel resets the connections that were not accepted when the listener
   * closes. Node accepts one waiting connection in each turn of the event loop. So after a turn without a new
   * connection none is waiting, except a connection that arrived in that turn.
   */
  async #acceptWaiting(): Promise<void> {
    for (let turns = 0, before = -1; before !== this.#accepted && turns < MOST_TURNS; turns++) {
      before = this.#accepted;
      await this.#settled();
    }
  }

  async #leave(): Promise<void> {
    // `close` of the HTTP server would destroy connections that look idle, and stop checking time limits.
    Listener.prototype.close.call(this.#server);
    // A client with a closed connection reconnects at once, and the listener must not accept it.
    if (this.#settled !== turn) await this.#settled();
    this.#isLeaving = true;
    for (const socket of this.#open.keys()) {
      const last = lastResponse(socket);
      if (last && !last.headersSent) closeBehind(last, socket);
    }
  }
}

function countIdle(socket: Socket, idleness: Idleness): void {
  const last = lastResponse(socket);
  if (!isAnswered(socket)) idleness.looks = 0;
  else if (idleness.last !== last) Object.assign(idleness, { looks: 0, last, bytesRead: socket.bytesRead });
  // Otherwise a request has begun to arrive. Its answer or its time limit will end the connection.
  else if (socket.bytesRead === idleness.bytesRead) idleness.looks++;
}
