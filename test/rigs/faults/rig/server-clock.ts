/**
 * The clock of a server that is not ours to patch: a small library, built from clock-shim.c by this machine's C compiler
 * and preloaded into the server, moves its time of day by what a file says.
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
  /** What its server has to be started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its time of day is that many milliseconds ahead from now on, also after a restart. */
  setClock(aheadMs: number): Promise<void>;
}

/** The library, in a folder that any server's account can read. Rejects where there is no compiler. */
export async function buildClockShim(folder: string): Promise<string> {
  const library = join(folder, 'clock-shim.so');
  await run('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE], { timeout: BUILT_WITHIN_MS });
  await chmod(library, 0o755);
  return library;
}

/** @param file made here; in a folder that the server's account can read */
export async function createServerClock(library: string, file: string): Promise<ServerClock> {
  const setClock = async (aheadMs: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(aheadMs));
    // In place: the server has the file mapped, and would continue with the old one.
    await writeFile(file, bytes, { flag: 'r+' });
  };
  await writeFile(file, Buffer.alloc(8));
  await chmod(file, 0o644);
  return { environment: { LD_PRELOAD: library, FAULT_RIG_CLOCK: file }, setClock };
}

/** Null: servers' clocks can be moved here. */
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
