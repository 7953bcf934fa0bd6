/**
 * The clock of a server whose code the rig cannot patch. A small library is built from clock-shim.c by the C compiler
 * of this machine, and preloaded into the server. It moves the time of day by the milliseconds in a file.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const SOURCE = fileURLToPath(new URL('./clock-shim.c', import.meta.url));
const BUILT_WITHIN_MS = 60_000;

export interface ServerClock {
  /** The environment variables with which the server must be started. */
  readonly environment: Readonly<Record<string, string>>;
  /** Sets the time of day ahead by that many milliseconds, also for later starts. */
  setClock(aheadMs: number): Promise<void>;
}

/** Builds the library in `folder`, which the account of each server can read. Rejects without a C compiler. */
export async function buildClockShim(folder: string): Promise<string> {
  const library = join(folder, 'clock-shim.so');
  await run('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE], { timeout: BUILT_WITHIN_MS });
  await chmod(library, 0o755);
  return library;
}

/** @param file is created; the account of the server must be able to read its folder */
export async function createServerClock(library: string, file: string): Promise<ServerClock> {
  const setClock = async (aheadMs: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(aheadMs));
    // Written in place, because the server has mapped this file and would not see a new one.
    await writeFile(file, bytes, { flag: 'r+' });
  };
  await writeFile(file, Buffer.alloc(8));
  await chmod(file, 0o644);
  return { environment: { LD_PRELOAD: library, FAULT_RIG_CLOCK: file }, setClock };
}

/** Returns why the clock of a server cannot be moved on this machine, or null if it can. */
export async function whyNoServerClocks(): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-clock-'));
  try {
    await buildClockShim(folder);
    return null;
  } catch (error) {
    return `no library can be built here (${error instanceof Error ? error.message.trim() : error}); install a C compiler`;
  } finally {
    await rm(folder, { recursive: true });
  }
}
