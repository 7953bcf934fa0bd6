/** `tandem adopt`: adopts a config, whose predictors API and worker then serve. */
import { resolve } from 'node:path';
import { type Cli, createCommand, present } from '@tandem/commands/command';
import { findDatabaseUrls, knownRedisUrl, modelMemoryMb, withDatabases } from '@tandem/commands/environment';
import { createProgressReporter } from '@tandem/commands/output/progress';
import { isTandemError, reasonOf } from '@tandem/freshness/errors';

export function adoptCommand(cli: Cli) {
  return createCommand({
    name: 'adopt',
    description: 'check a config and adopt it; adopting the same config again changes nothing',
    detail: `Rejects a config with errors of tandem check, and then changes nothing. Errors of predictors that would not change
do not count. Prints the warnings of tandem check. --force adopts the config despite errors and prints each of them.
A database serves exactly one config: adopting a config stops serving every predictor that is not in it.
Until a run has scored all users with a new model version, its reads are answered live. adopt prints when the schedule
starts that run.
Exit codes: 0 if adopted, 1 if rejected without a change, or if adopted but not confirmed by Redis (the message says
which; runs of --run are started nevertheless), 2 for wrong usage.`,
    example: 'tandem adopt --config ./tandem.config.ts --run',
  })
    .option('--config <path>', 'the config', 'tandem.config.ts')
    .option('--force', 'adopt the config even if check finds errors')
    .option('--run', 'start a run of all users of each predictor that has no stored predictions')
    .option('--after-upgrade', 'wait up to 5 minutes until no process of another release is running')
    .action(async (options) => {
      const { adoptConfig, renderAdoption } = await import('./adopt-config.ts');
      const { untilUpgraded } = await import('@tandem/offline-store/upgrade');
      const { findFirstRuns, renderFirstRun } = await import('./first-runs.ts');
      await withDatabases(findDatabaseUrls(cli), { applicationName: 'tandem-adopt' }, async (databases) => {
        if (options.afterUpgrade) await untilUpgraded(databases.pool);
        const adopted = await adoptConfig(databases, resolve(cli.cwd, options.config), {
          memoryLimitMb: modelMemoryMb(cli),
          force: options.force === true,
          command: 'tandem adopt',
          ...(options.json ? {} : { reportProgress: createProgressReporter(cli.stderr) }),
          say: (line) => cli.stderr.write(`${line}\n`),
          cwd: cli.cwd,
          redisUrl: knownRedisUrl(cli),
        }).catch(async (error: unknown) => {
          // The adoption is complete, and must not be repeated for its runs.
          if (isTandemError(error, 'not_confirmed')) {
            const runs = await findFirstRuns(databases.pool, options.run === true).then(
              (found) => found.flatMap(renderFirstRun),
              (failure: unknown) => [`cannot start the first runs: ${reasonOf(failure)}`],
            );
            for (const line of runs) cli.stderr.write(`${line}\n`);
          }
          throw error;
        });
        const firstRuns = await findFirstRuns(databases.pool, options.run === true);
        present(cli, options, { ...adopted, firstRuns }, () => [
          ...renderAdoption(adopted, cli.cwd),
          ...firstRuns.flatMap(renderFirstRun),
        ]);
      });
    });
}
