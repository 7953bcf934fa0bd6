/** The work of `tandem profile`: reads versions and users, measures, and presents the report. */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { dirname, resolve } from 'node:path';
import { readEnvironment } from '@tandem/config/environment/environment';
import { inference as inferenceSection } from '@tandem/config/environment/environment-sections';
import type { Grid, Setting } from '@tandem/prediction/profile/settings';
import { type Cli, present } from '../command-line/command.ts';
import { findDatabaseUrls, withDatabases } from '../command-line/environment.ts';
import type { ProfileOptions } from './commands.ts';
import { measureAll } from './measure-all.ts';
import { drawProfile } from './picture.ts';
import { createProfileReport, type ProfileReport } from './profile-report.ts';
import { readVersions, type VersionToProfile } from './read-versions.ts';
import { renderProfile } from './render-profile.ts';
import { readSettingsFile, renderWritten, writeSettings } from './write-settings.ts';

export async function runProfile(cli: Cli, predictor: string, options: ProfileOptions): Promise<void> {
  const deadline = performance.now() + 60_000 * options.minutes;
  // A file that cannot be written is told before minutes of measuring.
  if (options.write !== undefined) await readSettingsFile(resolve(cli.cwd, options.write));
  const choice = { applicationName: 'tandem-profile', statementTimeoutMs: 30_000 };
  const versions = await withDatabases(findDatabaseUrls(cli), choice, (databases) =>
    readVersions(cli, databases, { predictor, ...options }),
  );
  const loadBefore = loadavg()[0] ?? 0;
  const grid = gridOf(versions, options);
  const { current, memoryMb } = inForce(cli, versions);
  const { seconds, exhaustive = false, p99 = null } = options;
  const measuring = { grid, current, memoryMb, deadline, seconds, isExhaustive: exhaustive, target: p99 };
  const results = await measureAll(cli, versions, measuring);
  const report = createProfileReport({
    ...{ predictor, grid, current, cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown', loadBefore },
    ...{ target: p99, pricePerCpuHour: options.pricePerCpuHour ?? null },
    ...{ users: versions[0]?.batch.userIds.length ?? 0, ...results },
    versions: versions.map(({ record }) => record),
  });
  await tell(cli, options, report);
}

function gridOf(versions: readonly VersionToProfile[], { batches, processes, threads }: ProfileOptions): Grid {
  return { version: versions.map(({ record }) => record.number), batch: batches, processes, threads };
}

/** The settings of this environment, of the version that serves. */
function inForce(cli: Cli, [first]: readonly VersionToProfile[]): { current: Setting | undefined; memoryMb: number } {
  const { inference } = readEnvironment(cli.env, { inference: inferenceSection });
  const { processes, batchLimit: batch, threads, memoryMb } = inference;
  return { current: first && { version: first.record.number, batch, processes, threads }, memoryMb };
}

async function tell(cli: Cli, options: ProfileOptions, report: ProfileReport): Promise<void> {
  const { json, svg, write } = options;
  const files: string[] = [];
  const save = async (name: string, text: string, what: string) => {
    const file = resolve(cli.cwd, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    files.push(`${what}: ${file}`);
  };
  if (svg !== undefined) await save(svg, drawProfile(report), 'Picture');
  if (typeof json === 'string') await save(json, `${JSON.stringify(report, null, 2)}\n`, 'Figures');
  if (write !== undefined) files.push(...renderWritten(await writeSettings(resolve(cli.cwd, write), report)));
  present(cli, { json: json === true }, report, () => [
    ...renderProfile(report),
    ...(files.length > 0 ? ['', ...files] : []),
  ]);
}
