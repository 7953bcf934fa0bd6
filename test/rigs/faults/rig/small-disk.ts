/** A file system of its own that can be filled: a tmpfs of some size, which takes the right to mount. */
import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const BLOCK = Buffer.alloc(256 * 1024);
const FILLER = 'filler';

export interface SmallDisk {
  /** Takes all the space that is left. */
  fill(): Promise<void>;
  /** Gives it back. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** @param folder made where it is missing; what it held is out of sight until the disk is closed */
export async function mountSmallDisk(folder: string, megabytes: number): Promise<SmallDisk> {
  await mkdir(folder, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=711`, 'tandem-faults', folder]);
  const filler = join(folder, FILLER);
  return {
    async fill() {
      const file = await open(filler, 'a');
      try {
        // The last of it in small pieces: a log needs little.
        for (const size of [BLOCK.length, 4_096]) await writeUntilFull(() => file.write(BLOCK, 0, size));
      } finally {
        await file.close();
      }
    },
    empty: () => rm(filler, { force: true }),
    // Unmounts lazily: processes that still use it may close their files later.
    close: async () => void (await run('umount', ['--lazy', folder])),
  };
}

async function writeUntilFull(write: () => Promise<unknown>): Promise<void> {
  try {
    for (;;) await write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** Null: one can be had. */
export async function whyNoSmallDisk(folder: string): Promise<string | null> {
  try {
    const disk = await mountSmallDisk(join(folder, 'try'), 1);
    await disk.close();
    return null;
  } catch (error) {
    return `no file system can be mounted here (${error instanceof Error ? error.message.trim() : error}); run it as root`;
  }
}
