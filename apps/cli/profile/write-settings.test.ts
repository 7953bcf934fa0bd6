import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ProfileFigures } from './profile-report.ts';
import { readSettingsFile, renderWritten, writeSettings } from './write-settings.ts';

const BEST: ProfileFigures = {
  ...{ version: 1, build: null, batch: 64, processes: 2, threads: 1, meetsTarget: true, failed: 0 },
  ...{ predictionsPerSecond: 1, p50Ms: 1, p99Ms: 1, cpuMsPerThousand: 1, memoryMb: 1 },
  ...{ memoryMbSecondsPerThousand: 1, costPerMillion: null },
};
const profile = (recommended: ProfileFigures | null) => ({ recommended, targetP99Ms: 20 }) as never;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-settings-'));
  file = join(folder, '.env');
});
afterEach(() => rm(folder, { recursive: true }));

it('changes these settings, adds those that are missing, and keeps every other byte', async () => {
  await writeFile(
    file,
    '# ours\r\nDATABASE_URL=postgres://u:p=1@h/d\r\nexport INFERENCE_BATCH_LIMIT = 256\r\n#INFERENCE_THREADS=9\r\nLAST=1',
  );
  const written = await writeSettings(file, profile(BEST));
  expect(await readFile(file, 'utf8')).toBe(
    '# ours\r\nDATABASE_URL=postgres://u:p=1@h/d\r\nexport INFERENCE_BATCH_LIMIT =64\r\n#INFERENCE_THREADS=9\r\nLAST=1\nINFERENCE_PROCESSES=2\nINFERENCE_THREADS=1\n',
  );
  expect(renderWritten(written)).toEqual([
    `Settings: ${file}; an API takes them at its next start`,
    '  INFERENCE_BATCH_LIMIT=64 (was 256)',
    '  INFERENCE_PROCESSES=2',
    '  INFERENCE_THREADS=1',
  ]);
  expect(renderWritten(await writeSettings(file, profile(BEST)))).toEqual([`Settings: ${file} has them already`]);
});

it('creates a file that is not there', async () => {
  await writeSettings(file, profile(BEST));
  expect(await readFile(file, 'utf8')).toBe('INFERENCE_BATCH_LIMIT=64\nINFERENCE_PROCESSES=2\nINFERENCE_THREADS=1\n');
});

it('refuses a file of another form, and a recommendation that meets no target, and changes nothing', async () => {
  const config = 'export default defineConfig({})\n';
  await writeFile(file, config);
  await expect(readSettingsFile(file)).rejects.toThrow(`${file} is no environment file: line 1 is not NAME=value`);
  await writeFile(file, 'A=1\n');
  await expect(writeSettings(file, profile({ ...BEST, meetsTarget: false }))).rejects.toThrow(
    `${file} was not changed: no setting keeps p99 within 20 ms`,
  );
  await expect(writeSettings(file, profile(null))).rejects.toThrow('nothing was measured');
  expect(await readFile(file, 'utf8')).toBe('A=1\n');
  await expect(readSettingsFile(folder)).rejects.toThrow(`${folder} cannot be read (EISDIR)`);
});
