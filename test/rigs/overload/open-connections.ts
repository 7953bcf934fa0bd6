/** Which connections a process on this machine holds, as the kernel tells: also those of whose end nobody was told. */
import { readFile } from 'node:fs/promises';

/**
 * Of the connections from these ports to that one, those that the listening process still holds. One that it closed, and
 * whose other side has not answered that yet, belongs to nobody any more.
 */
export async function heldOf(port: number, from: ReadonlySet<number>): Promise<number> {
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').slice(1);
  return lines.filter((line) => {
    const fields = line.trim().split(/\s+/);
    const [local = '', remote = '', owned = NOBODYS] = [fields[1], fields[2], fields[9]];
    return owned !== NOBODYS && portOf(local) === port && from.has(portOf(remote));
  }).length;
}

const NOBODYS = '0';

/** Of `0100007F:1F90`. */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}
