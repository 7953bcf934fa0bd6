/** Counts the connections that a process on this machine holds in the kernel's table, including half-open ones. */
import { readFile } from 'node:fs/promises';

/**
 * Returns how many connections from these ports to that port the listening process still holds. A connection that it
 * has closed does not count, even before the other side has answered, because the kernel names no owner for it.
 */
export async function heldOf(port: number, from: ReadonlySet<number>): Promise<number> {
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').slice(1);
  return lines.filter((line) => {
    const fields = line.trim().split(/\s+/);
    const [local = '', remote = '', owned = NO_OWNER] = [fields[1], fields[2], fields[9]];
    return owned !== NO_OWNER && portOf(local) === port && from.has(portOf(remote));
  }).length;
}

const NO_OWNER = '0';

/** Returns the port of an address such as `0100007F:1F90`. */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}
