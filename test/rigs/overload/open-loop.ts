/**
 * Sends requests at a constant rate, independent of earlier answers. Latency counts from the moment when a request is
 * due, not from the moment when a connection or the generator is free. Otherwise a stalled server would get fewer
 * requests, and the stall would count once instead of for all requests that were due (coordinated omission).
 *
 * The lateness of the generator is reported too. If it is large, the generator could not keep up, and the figures say nothing
 * about the server.
 */
import { type Connection, type Exchange, openConnection } from './exchange.ts';

export interface OpenLoopOptions {
  readonly port: number;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** Returns the text of the nth request. */
  request(n: number): string;
  /** The most connections. Further requests wait for a free connection, and their latency includes the wait. */
  readonly maxConnections: number;
  /** The time from when a request is due until it counts as a timeout. */
  readonly timeoutMs: number;
}

export interface Outcome {
  /** When the request was due, in ms since the beginning. */
  readonly due: number;
  /** The time from when the request was due until its answer. */
  readonly ms: number;
  readonly answer: Exchange | 'timeout' | 'reset';
}

export interface OpenLoopResult {
  readonly outcomes: readonly Outcome[];
  readonly seconds: number;
  /** The lateness of each request that the generator itself caused, in ms. */
  readonly lateMs: readonly number[];
}

interface Request {
  readonly text: string;
  readonly due: number;
  isOver: boolean;
  connection: Connection | null;
}

const LOOKS_MS = 50;

export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { ratePerSecond, seconds, request, timeoutMs } = options;
  const outcomes: Outcome[] = [];
  const lateMs: number[] = [];
  const line = createLine(options, outcomes);
  const total = Math.round(ratePerSecond * seconds);
  const start = performance.now();
  const sweep = setInterval(() => line.giveUp(performance.now() - start), LOOKS_MS);
  for (let sent = 0; sent < total; ) {
    const now = performance.now() - start;
    for (let due = (sent * 1e3) / ratePerSecond; due <= now && sent < total; due = (++sent * 1e3) / ratePerSecond) {
      lateMs.push(performance.now() - start - due);
      line.send({ text: request(sent), due, isOver: false, connection: null }, start);
    }
    await nextMoment();
  }
  while (outcomes.length < total && performance.now() - start < seconds * 1e3 + timeoutMs + 1_000) await nextMoment();
  clearInterval(sweep);
  line.end();
  return { outcomes, seconds, lateMs };
}

function createLine({ port, maxConnections, timeoutMs }: OpenLoopOptions, outcomes: Outcome[]) {
  const free: Connection[] = [];
  const open = new Set<Connection>();
  const waiting: Request[] = [];
  const underWay = new Set<Request>();

  function finish(request: Request, now: number, answer: Outcome['answer']): void {
    if (request.isOver) return;
    request.isOver = true;
    underWay.delete(request);
    outcomes.push({ due: request.due, ms: now - request.due, answer });
  }

  function findConnection(): Connection | null {
    for (let one = free.pop(); one; one = free.pop()) {
      if (one.isOpen()) return one;
      open.delete(one);
    }
    if (open.size >= maxConnections) return null;
    const one = openConnection('127.0.0.1', port);
    open.add(one);
    return one;
  }

  function send(request: Request, start: number): void {
    const connection = findConnection();
    underWay.add(request);
    if (!connection) {
      waiting.push(request);
      return;
    }
    request.connection = connection;
    connection.ask(request.text, (answer) => {
      finish(request, performance.now() - start, answer ?? 'reset');
      if (connection.isOpen()) free.push(connection);
      else open.delete(connection);
      const next = waiting.shift();
      if (next && !next.isOver) send(next, start);
    });
  }

  return {
    send,
    giveUp(now: number) {
      for (const request of underWay) {
        // Requests wait in the order in which they were due.
        if (now - request.due < timeoutMs) return;
        finish(request, now, 'timeout');
        request.connection?.end();
      }
    },
    end() {
      for (const one of open) one.end();
    },
  };
}

function nextMoment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
