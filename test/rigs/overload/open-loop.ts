/**
 * A load of a constant arrival rate, whatever becomes of what was sent before. Latency counts from the moment at which a
 * request was due, not from when a connection or the generator was free for it: else a server that stalls would be asked
 * less while it stalls, and the stall be counted once instead of for all who would have come (coordinated omission).
 *
 * What the generator itself is late by is told beside: where that is much, it could not keep up, and says nothing of the
 * server.
 */
import { type Connection, type Exchange, openConnection } from './exchange.ts';

export interface OpenLoopOptions {
  readonly port: number;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** The text of the nth request. */
  request(n: number): string;
  /** Requests beyond what these can hold wait for one, and their time runs. */
  readonly maxConnections: number;
  /** From when it was due until it is given up. */
  readonly timeoutMs: number;
}

export interface Outcome {
  /** When it was due, in ms since the beginning. */
  readonly due: number;
  /** From when it was due until its answer. */
  readonly ms: number;
  readonly answer: Exchange | 'timeout' | 'reset';
}

export interface OpenLoopResult {
  readonly outcomes: readonly Outcome[];
  readonly seconds: number;
  /** How late the generator was with each request, in ms, for no reason of the server's. */
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
        // In the order of their time.
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
