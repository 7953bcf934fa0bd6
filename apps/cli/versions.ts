/** `tandem version`: lists the model versions that were stable, and rolls back to one with its stored predictions. */
import type { Client } from '@tandem/client/create-client';
import type { StableVersionView } from '@tandem/client/wire';
import { type Cli, confirm, createApiCommand, group, type Paint, present } from '@tandem/commands/command';
import { CommandFailure } from '@tandem/commands/failure';
import { ago, moment, renderTable, right } from '@tandem/commands/output/text';
import { connect } from './client/connect.ts';

export function versionCommands(cli: Cli) {
  return group('version', 'the model versions that were stable', [
    versionListCommand(cli),
    versionRollbackCommand(cli),
  ]);
}

function versionListCommand(cli: Cli) {
  return createApiCommand({
    name: 'list',
    description: 'list the model versions that were stable, newest first',
    example: 'tandem version list repurchase',
  })
    .argument('<predictor>')
    .action(async (predictor, options) => {
      const versions = await connect(cli, options).stableVersions(predictor);
      present(cli, options, { versions }, () => renderStableVersions(versions, cli.paint, cli.now()));
    });
}

function renderStableVersions(versions: readonly StableVersionView[], paint: Paint, now: number): string[] {
  const columns = [right('version'), 'stable since', 'until', 'age', right('kept generation')];
  const rows = versions.map(({ modelVersion, since, until, generation }) => [
    modelVersion,
    moment(since),
    until === null ? paint('good', 'now') : moment(until),
    ago(since, now),
    generation ?? 'none',
  ]);
  return renderTable(columns, rows);
}

function versionRollbackCommand(cli: Cli) {
  return createApiCommand({
    name: 'rollback',
    description: 'serve an earlier model version again, from its kept generation',
    example: 'tandem version rollback repurchase --to 2',
    detail: 'Without --to, returns to the previous stable version, which tandem version list shows.',
  })
    .argument('<predictor>')
    .option('--to <number>', 'the model version (default: the previous stable version)')
    .option('--force', 'allow a version that was never stable')
    .option('--yes', 'do not ask')
    .action(async (predictor, { to, force = false, yes, ...options }) => {
      const client = connect(cli, options);
      const stable = await client.stableVersions(predictor);
      const served = stable[0]?.modelVersion;
      const target = to === undefined ? previousOf(predictor, stable) : await versionTo(client, predictor, to, stable);
      if (target.modelVersion === served) {
        throw noTarget(predictor, `model version ${served} is already served`);
      }
      if (target.generation === null) {
        throw noTarget(predictor, `no generation of model version ${target.modelVersion} is kept`);
      }
      if (!yes) {
        const question = `${predictor}: serve model version ${target.modelVersion} instead of ${served ?? 'none'}?`;
        await confirm(cli, question);
      }
      const result = await client.rollback(predictor, Number(target.generation), { force });
      present(cli, options, result, () => [
        `${predictor}: model version ${target.modelVersion} is served, from generation ${target.generation}`,
      ]);
    });
}

type Target = Pick<StableVersionView, 'modelVersion' | 'generation'>;

/**
 * Returns the version that was stable before the current one. Throws if there is none.
 * @param stable the versions that were stable, newest first
 */
function previousOf(predictor: string, stable: readonly StableVersionView[]): Target {
  const previous = stable.find(({ modelVersion }) => modelVersion !== stable[0]?.modelVersion);
  if (previous) return previous;
  throw noTarget(predictor, 'no other model version was stable before');
}

/**
 * Returns the target of a rollback to this version. A version that was never stable may have generations of a rollout;
 * the newest of them is the target.
 */
async function versionTo(
  client: Client,
  predictor: string,
  to: string,
  stable: readonly StableVersionView[],
): Promise<Target> {
  const known = stable.find(({ modelVersion }) => modelVersion === to);
  if (known) return known;
  const generations = await client.generations(predictor);
  const newest = generations.find(({ modelVersion, state }) => modelVersion === to && state === 'published');
  return newest ?? { modelVersion: to, generation: null };
}

function noTarget(predictor: string, problem: string): CommandFailure {
  return new CommandFailure(`${predictor}: ${problem}`, {
    remedy: `tandem version list ${predictor} shows the versions to return to; use tandem rollout start for any other`,
  });
}
