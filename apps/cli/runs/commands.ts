/** `tandem run`: batch runs. */

import { Option } from '@commander-js/extra-typings';
import type { Client } from '@tandem/client/create-client';
import type { RunRequest } from '@tandem/client/runs';
import { type Budget, isFinished, type Run } from '@tandem/client/wire';
import {
  type Cli,
  createApiCommand,
  given,
  group,
  paged,
  parseList,
  parseNumber,
  present,
} from '@tandem/commands/command';
import { isProblem } from '@tandem/transport/client-errors';
import { connect } from '../client/connect.ts';
import { followRun, throwUnlessDone } from './follow-run.ts';
import { renderRun, renderRunPlan, renderRuns } from './render-run.ts';

export function runCommands(cli: Cli) {
  return group('run', 'batch runs: start, plan, list, show, cancel, resume', [
    runStartCommand(cli),
    runPlanCommand(cli),
    runListCommand(cli),
    runShowCommand(cli),
    changing(cli, 'cancel', 'cancel a run: waiting chunks are dropped, and chunks in progress commit no more rows'),
    changing(cli, 'resume', 'resume a cancelled or failed run'),
  ]);
}

function runStartCommand(cli: Cli) {
  return createApiCommand({
    name: 'start',
    description: 'score users now: all users (a new generation), users with stale predictions, or named users',
    example: 'tandem run start repurchase --follow',
  })
    .argument('<predictor>')
    .addOption(new Option('--scope <scope>', 'users to score').choices(['all', 'stale']).default('all'))
    .addOption(new Option('--users <ids>', 'only these users, such as 42,43').argParser(parseList).conflicts('scope'))
    .option('--variant <arm>', 'the arm whose model version scores the users (default: stable)')
    .addOption(shareOption().conflicts('users'))
    .addOption(cpuMinutesOption().conflicts('users'))
    .option('--follow', 'wait until the run has finished')
    .action(async (predictor, options) => {
      const scope = options.users === undefined ? options.scope : { userIds: options.users };
      const request = { predictor, scope, ...given({ variant: options.variant, budget: budgetOf(options) }) };
      const client = connect(cli, options);
      const started = await startOrJoin(cli, client, request, options.follow === true);
      const run = options.follow ? await followRun(cli, client, started) : started;
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
      if (options.follow) throwUnlessDone(run);
    });
}

interface BudgetOptions {
  readonly share?: number;
  readonly cpuMinutes?: number;
}

/** Returns an option that parses a number, whose range the service checks. */
function shareOption() {
  const option = new Option(
    '--share <share>',
    'a budget: score this share of the users, such as 0.25; users with outdated predictions first, most read first',
  );
  return option.argParser(parseNumber).conflicts('cpuMinutes');
}

function cpuMinutesOption() {
  const option = new Option(
    '--cpu-minutes <minutes>',
    'a budget: score users within this CPU time; users with outdated predictions first, most read first',
  );
  return option.argParser(parseNumber);
}

function budgetOf({ share, cpuMinutes }: BudgetOptions): Budget | undefined {
  if (share !== undefined) return { share };
  return cpuMinutes === undefined ? undefined : { cpuMinutes };
}

/** Starts a run. If a run of all users is already in progress, a command with `--follow` follows that run. */
async function startOrJoin(cli: Cli, client: Client, request: RunRequest, joins: boolean): Promise<Run> {
  try {
    return await client.runs.start(request);
  } catch (error) {
    if (!joins || request.scope !== 'all' || !isProblem(error, 'run_conflict')) throw error;
    const { runs } = await client.runs.list({ predictor: request.predictor });
    const underWay = runs.find((run) => run.scope === 'all' && !isFinished(run.state));
    if (!underWay || request.variant !== undefined || request.budget !== undefined) throw error;
    cli.stderr.write(`run ${underWay.id} is already in progress, and this command follows it\n`);
    return underWay;
  }
}

function runPlanCommand(cli: Cli) {
  return createApiCommand({
    name: 'plan',
    description: 'estimate the effect of a budget: reads covered, CPU, time; starts no run',
    detail: `"of reads" is the share of the next day's reads that go to the most read users, with a 95 % interval. The budget decides
how many users these are. "of readers" is the share of these users in all users that are read on that day. Both are
estimated from the reads of all predictors: users are chosen by the counts of earlier days and tested on later reads.
CPU and time are computed from earlier runs of the predictor.`,
    example: 'tandem run plan repurchase --share 0.25',
  })
    .argument('<predictor>')
    .addOption(shareOption())
    .addOption(cpuMinutesOption())
    .action(async (predictor, options) => {
      const plan = await connect(cli, options).runs.plan(predictor, budgetOf(options));
      present(cli, options, plan, () => renderRunPlan(plan));
    });
}

function runListCommand(cli: Cli) {
  const command = createApiCommand({
    name: 'list',
    description: 'list runs, newest first',
    example: 'tandem run list --predictor repurchase --limit 5',
  }).option('--predictor <name>', 'only runs of this predictor');
  return paged(
    command,
    '--before <id>',
    'only runs before this id; for the next page, the id of the last run of a page',
  ).action(async ({ predictor, limit, before, ...options }) => {
    const page = await connect(cli, options).runs.list({ limit, ...given({ predictor, before }) });
    present(cli, options, page, ({ runs }) => renderRuns(runs, cli.paint, cli.now()));
  });
}

function runShowCommand(cli: Cli) {
  return createApiCommand({
    name: 'show',
    description: 'show a run and the users that could not be scored',
    example: 'tandem run show 0198c0de-5d3a-7c9b-8e21-3f0a5b6c7d8e --follow',
  })
    .argument('<id>')
    .option('--follow', 'wait until the run has finished')
    .action(async (id, options) => {
      const client = connect(cli, options);
      const found = await client.runs.show(id);
      const run = options.follow ? await followRun(cli, client, found) : found;
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
      if (options.follow) throwUnlessDone(run);
    });
}

function changing(cli: Cli, verb: 'cancel' | 'resume', description: string) {
  const example = `tandem run ${verb} 0198c0de-5d3a-7c9b-8e21-3f0a5b6c7d8e`;
  return createApiCommand({ name: verb, description, example })
    .argument('<id>')
    .action(async (id, options) => {
      const run = await connect(cli, options).runs[verb](id);
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
    });
}
