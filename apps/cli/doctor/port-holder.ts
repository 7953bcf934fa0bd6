/**
 * Finds the process that listens on a port, for the message that the port is in use. This works on Linux only, within
 * this user's rights.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readOrUndefined, readProcess } from '@tandem/local-servers/process-identity';

const LISTENING = '0A';

/** Returns, for example, `process 4711 (node server.js)`; undefined if the process is unknown. */
export function findPortHolder(port: number): string | undefined {
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningSockets(table, port)));
  if (sockets.size === 0) return undefined;
  const pid = list('/proc').find((name) => /^\d+$/.test(name) && holdsSocket(name, sockets));
  if (pid === undefined) return undefined;
  return `process ${pid} (${(readProcess(Number(pid))?.command ?? '?').slice(0, 120)})`;
}

/**
 * Returns `socket:[12345]` for each listener on the port. The columns of the table are described in proc_pid_net(5).
 */
function listeningSockets(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return (readOrUndefined(() => readFileSync(table, 'utf8')) ?? '').split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    return columns[1]?.endsWith(`:${hex}`) && columns[3] === LISTENING ? [`socket:[${columns[9]}]`] : [];
  });
}

function holdsSocket(pid: string, sockets: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`;
  return list(folder).some((fd) => sockets.has(readOrUndefined(() => readlinkSync(`${folder}/${fd}`)) ?? ''));
}

function list(folder: string): string[] {
  return readOrUndefined(() => readdirSync(folder)) ?? [];
}
