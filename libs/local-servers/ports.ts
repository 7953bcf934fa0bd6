/** Chooses ports on 127.0.0.1: free ports, or the port of a server's last start, so that its address stays the same. */
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { LocalServerError } from './local-server-error.ts';
import { readOrUndefined } from './process-identity.ts';

/**
 * The range of ports. It is below the ports of outgoing connections, one of which could occupy a server's port during a
 * restart.
 */
const PORTS = { from: 20_000, to: 32_767 };
const ATTEMPTS = 50;

/** Returns a free port. If another process takes it first, the caller retries with another port. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(PORTS.from, PORTS.to + 1);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`none of ${ATTEMPTS} tried ports from ${PORTS.from} to ${PORTS.to} is free`);
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host: '127.0.0.1', port }, () => probe.close(() => resolve(true)));
  });
}

interface PortChoice {
  /** The name for messages, such as `Postgres`. */
  readonly server: string;
  /** The port that the caller requires. If it is in use, the start fails. */
  readonly requested: number | undefined;
  /** The path of the file with the port of the last start. */
  readonly rememberIn: string;
  readonly log: (line: string) => void;
}

/**
 * Returns the required port, else the port of the last start, else a free port. Throws `port_taken` if the required
 * port is in use.
 */
export async function choosePort({ server, requested, rememberIn, log }: PortChoice): Promise<number> {
  if (requested !== undefined) {
    if (!(await isPortFree(requested))) throw portTaken(server, requested);
    return requested;
  }
  const remembered = readRememberedPort(rememberIn);
  if (remembered !== undefined) {
    if (await isPortFree(remembered)) return remembered;
    log(`port ${remembered} of the last start of ${server} is in use by another program: choosing another port`);
  }
  return findFreePort();
}

export function readRememberedPort(file: string): number | undefined {
  const port = Number(readOrUndefined(() => readFileSync(file, 'utf8')));
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

export function rememberPort(file: string, port: number): void {
  writeFileSync(file, `${port}\n`);
}

export function portTaken(server: string, port: number): LocalServerError {
  const remedy = `Stop the program that listens there (ss -ltnp "sport = :${port}" names it), or choose another port.`;
  return new LocalServerError(
    'port_taken',
    `${server} cannot listen on 127.0.0.1:${port}: the port is in use.`,
    remedy,
  );
}
