import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ProfileFigures } from './profile-report.ts';
import { assertWritable, readSettingsFile, renderWritten, writeSettings } from './write-settings.ts';

const BEST: ProfileFigures = {
  ...{ version: 1, build: null, batch: 64, processes: 2, threads: 1, meetsTarget: true, failed: 0, lost: 0 },
  ...{ predictionsPerSecond: 1, p50Ms: 1, p99Ms: 1, cpuMsPerThousand: 1, memoryMb: 1 },
  ...{ memoryMbSecondsPerThousand: 1, costPerMillion: null },
};
const profile = (recommended: ProfileFigures | null) =>
  ({ predictor: 'churn', recommended, targetP99Ms: 20, stable: 1 }) as never;

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
    '# ours\r\nDATABASE_URL=postgres://u:p=1@h/d\r\nexport INFERENCE_BATCH_LIMIT = 256 # tried\r\n#INFERENCE_THREADS=9\r\nLAST=1',
  );
  const written = await writeSettings(file, profile(BEST), 1);
  expect(await readFile(file, 'utf8')).toBe(
    '# ours\r\nDATABASE_URL=postgres://u:p=1@h/d\r\nexport INFERENCE_BATCH_LIMIT =64 # tried\r\n#INFERENCE_THREADS=9\r\nLAST=1\nINFERENCE_PROCESSES=2\nINFERENCE_THREADS=1\n',
  );
  expect(renderWritten(written)).toEqual([
    `Settings: ${file}; APIs and workers that read this file use them after their next start`,
    '  INFERENCE_BATCH_LIMIT=64 (was 256)',
    '  INFERENCE_PROCESSES=2',
    '  INFERENCE_THREADS=1',
  ]);
  expect(renderWritten(await writeSettings(file, profile(BEST), 1))).toEqual([`Settings: ${file} already has them`]);
});

it('creates a missing file', async () => {
  await writeSettings(file, profile(BEST), 1);
  expect(await readFile(file, 'utf8')).toBe('INFERENCE_BATCH_LIMIT=64\nINFERENCE_PROCESSES=2\nINFERENCE_THREADS=1\n');
});

it('rejects a file in another format, and a recommendation that misses the target, and changes nothing', async () => {
  const config = 'export default defineConfig({})\n';
  await writeFile(file, config);
  await expect(readSettingsFile(file)).rejects.toThrow(`${file} is not an environment file: line 1 is not NAME=value`);
  await writeFile(file, 'A=1\n');
  await expect(writeSettings(file, profile({ ...BEST, meetsTarget: false }), 1)).rejects.toThrow(
    `${file} was not changed: no setting keeps p99 within 20 ms`,
  );
  await expect(writeSettings(file, profile({ ...BEST, version: 2 }), 1)).rejects.toThrow(
    'the best settings are those of version 2, which does not serve',
  );
  await expect(writeSettings(file, profile(null), 1)).rejects.toThrow('nothing was measured');
  expect(await readFile(file, 'utf8')).toBe('A=1\n');
  await expect(readSettingsFile(folder)).rejects.toThrow(`${folder} cannot be read (EISDIR)`);
});

it('gives each API process its share of the measured processes', async () => {
  await writeFile(file, 'API_PROCESSES=4\n');
  const written = await writeSettings(file, profile({ ...BEST, processes: 9 }), 1);
  expect(await readFile(file, 'utf8')).toContain('INFERENCE_PROCESSES=2\n');
  expect(renderWritten(written)).toContain('  INFERENCE_PROCESSES is for each of 4 API processes (API_PROCESSES)');
});

it('replaces the whole file, keeps its mode or link, and leaves no other file', async () => {
  await writeFile(file, 'SECRET=1\n');
  await chmod(file, 0o600);
  const link = join(folder, 'link.env');
  await symlink(file, link);
  const before = (await stat(file)).ino;
  await writeSettings(link, profile(BEST), 1);
  const found = await stat(file);
  expect([found.mode & 0o777, found.ino === before]).toEqual([0o600, false]);
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
  expect((await readdir(folder)).sort()).toEqual(['.env', 'link.env']);
});

it('detects before the measurement that a file cannot be written', async () => {
  await assertWritable(join(folder, 'new', 'folder', 'p.svg'), '--svg');
  await expect(assertWritable(folder, '--svg')).rejects.toThrow(`${folder} cannot be written (EISDIR)`);
  await writeFile(file, '');
  await expect(assertWritable(join(file, 'p.svg'), '--svg')).rejects.toThrow('cannot be written (ENOTDIR)');
});
