/** A separate file system that can be filled: a tmpfs of a given size. It needs the right to mount. */
import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const BLOCK = Buffer.alloc(256 * 1024);
const FILLER = 'filler';

export interface SmallDisk {
  /** Fills all free space. */
  fill(): Promise<void>;
  /** Frees the space that `fill` took. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** @param folder is created if missing; its files are hidden until the disk is closed */
export async function mountSmallDisk(folder: string, megabytes: number): Promise<SmallDisk> {
  await mkdir(folder, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=711`, 'tandem-faults', folder]);
  const filler = join(folder, FILLER);
  return {
    async fill() {
      const file = await open(filler, 'a');
      try {
        // The rest is filled in small pieces, because a log needs little space.
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

/** Returns why no small disk can be mounted on this machine, or null if it can. */
export async function whyNoSmallDisk(folder: string): Promise<string | null> {
  try {
    const disk = await mountSmallDisk(join(folder, 'try'), 1);
    await disk.close();
    return null;
  } catch (error) {
    return `no file system can be mounted here (${error instanceof Error ? error.message.trim() : error}); run it as root`;
  }
}
