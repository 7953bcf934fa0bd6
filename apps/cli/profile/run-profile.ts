/** Runs `tandem profile`: reads versions and users, measures, and presents the report. */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type Cli, present } from '@tandem/commands/command';
import { findDatabaseUrls, withDatabases } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { readEnvironment } from '@tandem/config/environment/environment';
import { apiProcesses, inference as inferenceSection } from '@tandem/config/environment/environment-sections';
import { createRegistry } from '@tandem/offline-store/models/registry';
import type { Setting } from '@tandem/prediction/profile/settings';
import type { ProfileOptions } from './commands.ts';
import { measureAll } from './measure-all.ts';
import { drawProfile } from './picture.ts';
import { createProfileReport, type ProfileReport } from './profile-report.ts';
import { isStable, readVersions, type VersionToProfile } from './read-versions.ts';
import { renderProfile } from './render-profile.ts';
import { assertWritable, cannotWrite, readSettingsFile, renderWritten, writeSettings } from './write-settings.ts';

export async function runProfile(cli: Cli, predictor: string, options: ProfileOptions): Promise<void> {
  const deadline = performance.now() + 60_000 * options.minutes;
  await assertFiles(cli, options);
  const choice = { applicationName: 'tandem-profile', statementTimeoutMs: 30_000 };
  const { versions, liveTimeoutMs } = await withDatabases(findDatabaseUrls(cli), choice, async (databases) => ({
    versions: await readVersions(cli, databases, { predictor, ...options }),
    liveTimeoutMs: (await createRegistry(databases.pool).predictor(predictor))?.policy.freshness.liveTimeoutMs,
  }));
  const loadBefore = loadavg()[0] ?? 0;
  const { batches: batch, processes, threads } = options;
  const grid = { version: versions.map(({ record }) => record.number), batch, processes, threads };
  const { current, memoryMb } = inForce(cli, versions);
  const { seconds, exhaustive = false, p99 = liveTimeoutMs ?? null } = options;
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

/** Throws if a file that an option names cannot be written. Called before the measurements, which take minutes. */
async function assertFiles({ cwd }: Cli, { write, svg, json }: ProfileOptions): Promise<void> {
  if (write !== undefined) await readSettingsFile(resolve(cwd, write));
  for (const [option, file] of Object.entries({ '--write': write, '--svg': svg, '--json': json })) {
    if (typeof file === 'string') await assertWritable(resolve(cwd, file), option);
  }
}

/** Returns the settings of this environment for the serving version. */
function inForce(cli: Cli, [first]: readonly VersionToProfile[]): { current: Setting | undefined; memoryMb: number } {
  const { inference } = readEnvironment(cli.env, { inference: inferenceSection });
  const { processes, batchLimit: batch, threads, memoryMb } = inference;
  const serves = first !== undefined && isStable(first.record);
  return { current: serves ? { version: first.record.number, batch, processes, threads } : undefined, memoryMb };
}

async function tell(cli: Cli, options: ProfileOptions, report: ProfileReport): Promise<void> {
  const { json, svg, write } = options;
  const said: string[] = [];
  const failures: CommandFailure[] = [];
  // The report is printed even if a file cannot be written.
  const attempt = async (work: () => Promise<readonly string[]>) => {
    try {
      said.push(...(await work()));
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      failures.push(error);
    }
  };
  const save = (name: string, option: string, text: () => string, what: string) =>
    attempt(async () => {
      const file = resolve(cli.cwd, name);
      try {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, text());
      } catch (error) {
        throw cannotWrite(file, error, option);
      }
      return [`${what}: ${file}`];
    });
  if (svg !== undefined) await save(svg, '--svg', () => drawProfile(report), 'Picture');
  if (typeof json === 'string') await save(json, '--json', () => `${JSON.stringify(report, null, 2)}\n`, 'Figures');
  if (write !== undefined) {
    const sharing = readEnvironment(cli.env, { apiProcesses }).apiProcesses;
    await attempt(async () => renderWritten(await writeSettings(resolve(cli.cwd, write), report, sharing)));
  }
  present(cli, { json: json === true }, report, () => [
    ...renderProfile(report),
    ...(said.length > 0 ? ['', ...said] : []),
  ]);
  const [failure] = failures;
  if (failure) throw new CommandFailure(failure.message, { remedy: failure.remedy, presented: true });
}
