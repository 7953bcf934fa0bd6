/** Ports on 127.0.0.1: free ones, and the one a server had at its last start, so that its address stays the same. */
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { LocalServerError } from './local-server-error.ts';

/** Below what systems give to outgoing connections, one of which could hold a server's port while it is started again. */
const PORTS = { from: 20_000, to: 32_767 };
const ATTEMPTS = 50;

/** Returns a free port. Another process may still take it first; the caller then retries with another port. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(PORTS.from, PORTS.to + 1);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no port from ${PORTS.from} to ${PORTS.to} is free, of ${ATTEMPTS} that were tried`);
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host: '127.0.0.1', port }, () => probe.close(() => resolve(true)));
  });
}

interface PortChoice {
  /** For messages: `Postgres`. */
  readonly server: string;
  /** Demanded by the caller: taken or an error. */
  readonly requested: number | undefined;
  /** The file with the port of the last start. */
  readonly rememberIn: string;
  readonly log: (line: string) => void;
}

/** The demanded port, else the one of the last start, else a free one. Throws `port_taken` for a demanded port in use. */
export async function choosePort({ server, requested, rememberIn, log }: PortChoice): Promise<number> {
  if (requested !== undefined) {
    if (!(await isPortFree(requested))) throw portTaken(server, requested);
    return requested;
  }
  const remembered = readRememberedPort(rememberIn);
  if (remembered !== undefined) {
    if (await isPortFree(remembered)) return remembered;
    log(`port ${remembered}, which ${server} had before, is taken by another program: choosing another`);
  }
  return findFreePort();
}

export function readRememberedPort(file: string): number | undefined {
  try {
    const port = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch {
    return undefined;
  }
}

export function rememberPort(file: string, port: number): void {
  writeFileSync(file, `${port}\n`);
}

export function portTaken(server: string, port: number): LocalServerError {
  const remedy = `End the program that listens there (ss -ltnp "sport = :${port}" names it), or choose another port.`;
  return new LocalServerError('port_taken', `${server} cannot listen on 127.0.0.1:${port}: the port is taken.`, remedy);
}
