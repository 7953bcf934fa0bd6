/** Changes to the config that `init` writes. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const WRITTEN = "liveTimeout: '250ms'";

/**
 * Gives live reads 20 s in the folder's `tandem.config.ts`, because a busy machine exceeds the 250 ms that `init`
 * writes. Throws if the config does not contain that default.
 */
export async function allowSlowReads(folder: string): Promise<void> {
  const file = join(folder, 'tandem.config.ts');
  const config = await readFile(file, 'utf8');
  if (!config.includes(WRITTEN)) throw new Error(`${file} has no "${WRITTEN}"; update it here to the default of init`);
  await writeFile(file, config.replace(WRITTEN, "liveTimeout: '20s'"));
}
