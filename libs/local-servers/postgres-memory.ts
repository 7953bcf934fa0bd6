/** How much memory the local Postgres may take for its cache of pages. */
import { totalmem } from 'node:os';

const MIB = 2 ** 20;
/** Postgres' own default, in MB. */
const LEAST_MB = 128;
const MOST_MB = 1_024;

/** Returns the memory of the machine in MB, or that of the control group where it has less. */
export function machineMemoryMb(): number {
  const limit = process.constrainedMemory();
  return Math.min(totalmem(), limit > 0 ? limit : Number.POSITIVE_INFINITY) / MIB;
}

/**
 * Returns `shared_buffers` in MB: a sixteenth of the machine's memory, from 128 MB to 1 GB. Postgres' manual advises a quarter for a
 * server of its own; this one shares the machine with Tandem. A page that is not in this cache costs a copy and a checksum.
 * https://www.postgresql.org/docs/current/runtime-config-resource.html
 */
export function sharedBuffersMb(machineMb: number): number {
  return Math.round(Math.min(MOST_MB, Math.max(LEAST_MB, machineMb / 16)));
}
