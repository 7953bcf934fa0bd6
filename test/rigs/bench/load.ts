/**
 * Loads one HTTP server from a client that costs little CPU. It keeps plain sockets open; each socket sends one request
 * and waits for the answer before it sends the next. A general client (autocannon) costs as much CPU per request as the
 * servers measured here. On a machine that load and server share, it would hide the differences between the servers.
 *
 * Besides the rate, it reports the server's CPU per request, which other work on the machine hardly changes.
 */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export interface LoadOptions {
  readonly url: string;
  /** The process whose CPU is counted. */
  readonly pid: number;
  readonly connections: number;
  readonly seconds: number;
  /** Returns the complete bytes of the next request. */
  next(): Buffer | string;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** µs of CPU per request, of all threads of the server, system calls included. */
  readonly cpuMicros: number;
  /** µs of CPU per request, of this process. */
  readonly ownCpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The number of answers with a status other than 200. They count as requests. */
  readonly failed: number;
}

/** Loads the server for `seconds`. Rejects if a connection breaks. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { url, pid, connections, seconds, next } = options;
  const latencies: number[] = [];
  let failed = 0;
  let ended = false;
  const { hostname, port } = new URL(url);
  const clients = Array.from({ length: connections }, () =>
    ask(connect({ host: hostname, port: Number(port), noDelay: true }), {
      next: () => (ended ? undefined : next()),
      answered(ms, isOk) {
        latencies.push(ms);
        if (!isOk) failed++;
      },
    }),
  );
  const cpuBefore = await cpuSeconds(pid);
  const ownBefore = process.cpuUsage();
  const startedAt = performance.now();
  await Promise.race([setTimeout(seconds * 1000), Promise.all(clients)]);
  ended = true;
  await Promise.all(clients);
  const elapsed = (performance.now() - startedAt) / 1000;
  const own = process.cpuUsage(ownBefore);
  const cpu = (await cpuSeconds(pid)) - cpuBefore;
  const sorted = Float64Array.from(latencies).sort();
  return {
    requestsPerSecond: latencies.length / elapsed,
    cpuMicros: (cpu * 1e6) / latencies.length,
    ownCpuMicros: (own.user + own.system) / latencies.length,
    p50Ms: sorted[sorted.length >> 1] ?? Number.NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
    failed,
  };
}

interface Client {
  /** Returns the next request, or undefined to end the connection. */
  next(): Buffer | string | undefined;
  answered(ms: number, isOk: boolean): void;
}

/** Sends the requests of one connection, one after the other, until none is left. */
function ask(socket: Socket, { next, answered }: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = '';
    let expected = -1;
    let sentAt = 0;
    const send = () => {
      const request = next();
      if (request === undefined) {
        socket.destroy();
        resolve();
        return;
      }
      sentAt = performance.now();
      socket.write(request);
    };
    socket.setEncoding('latin1');
    socket.on('connect', send);
    socket.on('data', (piece: string) => {
      received = received === '' ? piece : received + piece;
      if (expected < 0) expected = lengthOf(received);
      if (expected < 0 || received.length < expected) return;
      const isOk = received.startsWith('HTTP/1.1 200 ');
      received = '';
      expected = -1;
      answered(performance.now() - sentAt, isOk);
      send();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed a connection')));
  });
}

/** Returns the length of the whole answer in bytes, from its head, or -1 while the head is incomplete. */
function lengthOf(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return -1;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2))?.[1];
  if (length === undefined) throw new Error(`an answer without a length: ${text.slice(0, 400)}`);
  return end + 4 + Number(length);
}

/** Returns the CPU seconds that a process has used so far: user and system mode, all threads. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may contain spaces. utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

/** Clock ticks per second (USER_HZ): 100 on every Linux that Node runs on. */
const CLOCK_TICKS = 100;
