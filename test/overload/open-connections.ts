/** What a process has open, as the kernel tells: also those whose other side knows nothing of it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Sockets of a process that are established on its port. */
export function connectionsOf(pid: number, port: number): number {
  const ours = new Set(socketsOf(pid));
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  let found = 0;
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, 'latin1').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [local = '', state = '', inode = ''] = [fields[1], fields[3], fields[9]];
    if (local.endsWith(`:${hexPort}`) && state !== LISTENING && ours.has(inode)) found++;
  }
  return found;
}

const LISTENING = '0A';

/** Files that a process has open. */
export function filesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
}
