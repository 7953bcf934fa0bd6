/** `tandem run start`: a batch run now. */
import { isProblem } from '@tandem/client/client-errors';
import type { Client } from '@tandem/client/create-client';
import type { RunRequest } from '@tandem/client/runs';
import { isFinished, type Run, type RunScope } from '@tandem/client/wire';
import { type Command, Option } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseList } from '../command-line/options.ts';
import { followRun, throwUnlessDone } from './follow-run.ts';
import { renderRun } from './render-run.ts';

interface Options extends ApiOptions {
  readonly scope: 'all' | 'stale';
  readonly users?: readonly string[];
  readonly variant?: string;
  readonly follow?: boolean;
}

export function runStartCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'start',
    description: 'score users now: all (a new generation), those whose context is newer, or those named',
    example: 'tandem run start repurchase --follow',
  })
    .argument('<predictor>')
    .addOption(new Option('--scope <scope>', 'whom to score').choices(['all', 'stale']).default('all'))
    .addOption(new Option('--users <ids>', 'these users only: a,b').argParser(parseList).conflicts('scope'))
    .option('--variant <arm>', 'the arm whose model version scores: one of a rollout (default: the stable one)')
    .option('--follow', 'wait until it has finished')
    .action(async (predictor: string, options: Options) => {
      const scope: RunScope = options.users === undefined ? options.scope : { userIds: options.users };
      const client = connect(cli, options);
      const started = await startOrJoin(cli, client, requestOf(predictor, scope, options), options.follow === true);
      const run = options.follow ? await followRun(cli, client, started) : started;
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
      if (options.follow) throwUnlessDone(run);
    });
}

function requestOf(predictor: string, scope: RunScope, { variant }: Options): RunRequest {
  return variant === undefined ? { predictor, scope } : { predictor, scope, variant };
}

/** Whoever follows a run of all users is as well served by the one that is under way already. */
async function startOrJoin(cli: Cli, client: Client, request: RunRequest, joins: boolean): Promise<Run> {
  try {
    return await client.runs.start(request);
  } catch (error) {
    if (!joins || request.scope !== 'all' || !isProblem(error, 'run_conflict')) throw error;
    const { runs } = await client.runs.list({ predictor: request.predictor });
    const underWay = runs.find((run) => run.scope === 'all' && !isFinished(run.state));
    if (!underWay || request.variant !== undefined) throw error;
    cli.stderr.write(`run ${underWay.id} is under way already; following that one\n`);
    return underWay;
  }
}
