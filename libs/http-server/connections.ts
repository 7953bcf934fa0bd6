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

export class Connections {
  /**
   * The part of readiness. It fails while new connections are rejected or replace a connection in use, and while the
   * process cannot open files.
   */
  readonly part = { name: 'connections', isEssential: true, check: () => this.#check() };
  readonly #most: number;
  readonly #now: () => number;
  /** Open connections in the order in which they were accepted. */
  readonly #open = new Map<Socket, OpenConnection>();
  readonly #turns = createTurns();
  #fullAt = Number.NEGATIVE_INFINITY;

  constructor({ most, now = () => performance.now() }: ConnectionsOptions) {
    this.#most = most;
    this.#now = now;
  }

  /** Limits the connections of this server. Several servers may share the limit. */
  keep(server: Server): void {
    server.on('connection', (socket) => this.#take(socket));
    server.on('request', ({ method, socket }) => {
      const connection = this.#open.get(socket);
      if (!connection) return;
      connection.usedAt = this.#now();
      if (method !== 'GET') connection.sendingSince = connection.usedAt;
    });
    server.timeout = SILENCE_MS;
    server.on('timeout', (socket) => this.#turns.add(() => leave(socket)));
    const looking = setInterval(() => this.#look(), LOOK_MS).unref();
    server.once('close', () => clearInterval(looking));
  }

  #take(socket: Socket): void {
    if (this.#open.size >= this.#most && !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    this.#open.set(socket, { usedAt: this.#now(), sendingSince: 0 });
    socket.once('close', () => this.#open.delete(socket));
  }

  #makeRoom(): boolean {
    const leaving = this.#replaceable() ?? this.#longestSending();
    const connection = leaving && this.#open.get(leaving);
    if (!connection || this.#isInUse(connection)) this.#fullAt = this.#now();
    leaving?.destroy();
    return leaving !== undefined && this.#open.delete(leaving);
  }

  /**
   * Returns a connection to replace: the oldest connection that has had no request for a second; else a new connection
   * without a request; else a connection that was just answered. It need not be the connection with the longest idle
   * time: an order by last request would cost every request.
   */
  #replaceable(): Socket | undefined {
    const haste = this.#now() - HASTE_MS;
    let between: Socket | undefined;
    let silent: Socket | undefined;
    for (const [socket, connection] of this.#open) {
      if (isAnswering(socket) || isSending(socket)) continue;
      if (!this.#isInUse(connection)) return socket;
      if (hasAsked(socket)) between ??= socket;
      else if (connection.usedAt <= haste) silent ??= socket;
    }
    return silent ?? between;
  }

  #isInUse({ usedAt }: OpenConnection): boolean {
    return usedAt > this.#now() - GRACE_MS;
  }

  /** Returns a connection that has been sending a body for longer than `SENDING_MS`. */
  #longestSending(): Socket | undefined {
    const slow = this.#now() - SENDING_MS;
    for (const [socket, { sendingSince }] of this.#open) if (isSending(socket) && sendingSince <= slow) return socket;
    return undefined;
  }

  /** Closes connections if their clients take too long to read their answers. */
  #look(): void {
    const now = this.#now();
    for (const [socket, connection] of this.#open) {
      const answer = untakenAnswer(socket);
      if (!answer || connection.untaken?.answer !== answer) connection.untaken = answer && { answer, since: now };
      else if (connection.untaken.since <= now - TAKING_MS) this.#turns.add(() => socket.destroy());
    }
  }

  async #check(): Promise<void> {
    if (this.#now() - this.#fullAt < FULL_MS) throw new Error(`all ${this.#most} connections are taken`);
    // Without a free file descriptor, connections fail and this process is not notified.
    await (await openFile(devNull)).close();
  }
}

/** Closes a connection without traffic, unless its client waits for an answer. */
function leave(socket: Socket): void {
  if (!isAnswering(socket) || socket.writableLength > 0) socket.destroy();
}
