/** The whole command line, composed; runs one invocation and gives its exit code. */
import { RELEASE } from '@tandem/telemetry/release';
import { Command, CommanderError } from 'commander';
import { adoptCommand } from './adopt/commands.ts';
import { auditListCommand } from './audit.ts';
import { buildRegisterCommand } from './builds/commands.ts';
import { buildCompareCommand } from './builds/compare.ts';
import { buildCreateCommand } from './builds/create.ts';
import { checkCommand } from './check/commands.ts';
import type { Cli } from './command-line/cli.ts';
import { CommandFailure, EXIT_INTERRUPTED, EXIT_USAGE, explainFailure, renderFailure } from './command-line/failure.ts';
import { createPaint } from './command-line/paint.ts';
import { explainCommand } from './commands/explain.ts';
import { explanationKeepCommand } from './commands/explanation-keep.ts';
import { explanationShowCommand } from './commands/explanation-show.ts';
import { generationApproveCommand } from './commands/generation-approve.ts';
import { generationListCommand } from './commands/generation-list.ts';
import { generationReportCommand } from './commands/generation-report.ts';
import { keyListCommand } from './commands/key-list.ts';
import { keyRevokeCommand } from './commands/key-revoke.ts';
import { keyRotateCommand } from './commands/key-rotate.ts';
import { modelLabelCommand } from './commands/model-label.ts';
import { modelListCommand } from './commands/model-list.ts';
import { modelShowCommand } from './commands/model-show.ts';
import { replayCommand } from './commands/replay.ts';
import { rolloutAbortCommand } from './commands/rollout-abort.ts';
import { rolloutAdvanceCommand } from './commands/rollout-advance.ts';
import { rolloutEndCommand } from './commands/rollout-end.ts';
import { rolloutHoldCommand } from './commands/rollout-hold.ts';
import { rolloutOverrideCommand } from './commands/rollout-override.ts';
import { rolloutPromoteCommand } from './commands/rollout-promote.ts';
import { rolloutReportCommand } from './commands/rollout-report.ts';
import { rolloutResumeCommand } from './commands/rollout-resume.ts';
import { rolloutShowCommand } from './commands/rollout-show.ts';
import { runCancelCommand } from './commands/run-cancel.ts';
import { runListCommand } from './commands/run-list.ts';
import { runResumeCommand } from './commands/run-resume.ts';
import { runShowCommand } from './commands/run-show.ts';
import { unwatchCommand } from './commands/unwatch.ts';
import { userReadmitCommand } from './commands/user-readmit.ts';
import { versionListCommand } from './commands/version-list.ts';
import { doctorCommand } from './doctor/commands.ts';
import { eventSendCommand } from './events.ts';
import { explanationListCommand } from './explanations/commands.ts';
import { generationRollbackCommand } from './generations/commands.ts';
import { historyRotateCommand } from './history.ts';
import { initCommand } from './init/commands.ts';
import { keyCreateCommand } from './keys/commands.ts';
import { loadCommand } from './load/commands.ts';
import { migrateCommand } from './migrate.ts';
import { modelArchiveCommand, modelUnarchiveCommand } from './models/commands.ts';
import { modelPushCommand } from './models/push.ts';
import { outcomeSendCommand } from './outcomes/commands.ts';
import { predictCommand } from './predict.ts';
import { processListCommand } from './processes.ts';
import { rolloutListCommand } from './rollouts/commands.ts';
import { rolloutStartCommand } from './rollouts/start.ts';
import { runStartCommand } from './runs/commands.ts';
import { watchCommand } from './sources/commands.ts';
import { upCommand } from './up/commands.ts';
import { userEraseCommand } from './users.ts';
import { versionRollbackCommand } from './versions.ts';

/** Commands that have something to take down when they are interrupted; the others just end. */
const ENDS_IN_ITS_OWN_ORDER = new Set(['up']);

export function createProgram(cli: Cli): Command {
  const program = new Command('tandem')
    .description('Per-user predictions, computed in batches and refreshed live where a user’s context is fresher.')
    .version(RELEASE, '-V, --version')
    .helpCommand('help [command]', 'show what a command does')
    .addHelpText('after', '\nExample: tandem up --example, then in another terminal: tandem predict repurchase 42');
  const direct = [
    upCommand,
    loadCommand,
    initCommand,
    migrateCommand,
    adoptCommand,
    checkCommand,
    doctorCommand,
    watchCommand,
    unwatchCommand,
    predictCommand,
    explainCommand,
    replayCommand,
  ];
  for (const create of direct) program.addCommand(create(cli));
  program.addCommand(group('event', 'tell of changes in a user’s context', [eventSendCommand(cli)]));
  program.addCommand(group('outcome', 'tell what users did after they were served', [outcomeSendCommand(cli)]));
  program.addCommand(runCommands(cli));
  program.addCommand(generationCommands(cli));
  program.addCommand(modelCommands(cli));
  program.addCommand(buildCommands(cli));
  program.addCommand(group('process', 'what serves: APIs and workers', [processListCommand(cli)]));
  program.addCommand(group('user', 'erase users, and end that', [userEraseCommand(cli), userReadmitCommand(cli)]));
  program.addCommand(rolloutCommands(cli));
  program.addCommand(
    group('version', 'which model version is served', [versionListCommand(cli), versionRollbackCommand(cli)]),
  );
  program.addCommand(explanationCommands(cli));
  program.addCommand(group('audit', 'who moved what, when and why', [auditListCommand(cli)]));
  program.addCommand(keyCommands(cli));
  program.addCommand(group('history', 'which past of the database this is', [historyRotateCommand(cli)]));
  return configure(program, cli);
}

function explanationCommands(cli: Cli): Command {
  return group('explanation', 'answers that were kept with what they were made of', [
    explanationKeepCommand(cli),
    explanationListCommand(cli),
    explanationShowCommand(cli),
  ]);
}

function rolloutCommands(cli: Cli): Command {
  const commands = [
    rolloutStartCommand,
    rolloutListCommand,
    rolloutShowCommand,
    rolloutReportCommand,
    rolloutAdvanceCommand,
    rolloutHoldCommand,
    rolloutResumeCommand,
    rolloutPromoteCommand,
    rolloutAbortCommand,
    rolloutEndCommand,
    rolloutOverrideCommand,
  ];
  return group(
    'rollout',
    'canaries, shadows and A/B tests of model versions',
    commands.map((create) => create(cli)),
  );
}

function runCommands(cli: Cli): Command {
  const commands = [runStartCommand, runListCommand, runShowCommand, runCancelCommand, runResumeCommand];
  return group(
    'run',
    'batch runs: start, watch, stop',
    commands.map((create) => create(cli)),
  );
}

function generationCommands(cli: Cli): Command {
  const commands = [
    generationListCommand,
    generationReportCommand,
    generationApproveCommand,
    generationRollbackCommand,
  ];
  return group(
    'generation',
    'what runs have published',
    commands.map((create) => create(cli)),
  );
}

function modelCommands(cli: Cli): Command {
  const commands = [
    modelPushCommand,
    modelListCommand,
    modelShowCommand,
    modelLabelCommand,
    modelArchiveCommand,
    modelUnarchiveCommand,
  ];
  return group(
    'model',
    'model versions: push, look at, label, archive',
    commands.map((create) => create(cli)),
  );
}

function buildCommands(cli: Cli): Command {
  const commands = [buildCreateCommand, buildRegisterCommand, buildCompareCommand];
  return group(
    'build',
    'optimised builds: int8, pruned, distilled; beside the model version that they were made of',
    commands.map((create) => create(cli)),
  );
}

function keyCommands(cli: Cli): Command {
  const commands = [keyCreateCommand, keyListCommand, keyRotateCommand, keyRevokeCommand];
  return group(
    'key',
    'API keys: who may ask for what',
    commands.map((create) => create(cli)),
  );
}

/** Runs the command in `args` (without node and script). Never throws, never exits. */
export async function runProgram(cli: Cli, args: readonly string[]): Promise<number> {
  const done = createProgram(cli).parseAsync([...args], { from: 'user' });
  try {
    await (ENDS_IN_ITS_OWN_ORDER.has(args[0] ?? '') ? done : Promise.race([done, rejectWhenAborted(cli.signal)]));
    return 0;
  } catch (error) {
    // Help and version end this way too, with code 0; what is wrong has been said by then.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    return report(cli, args, error);
  }
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function report(cli: Cli, args: readonly string[], error: unknown): number {
  if (cli.signal.aborted && error === cli.signal.reason) return EXIT_INTERRUPTED;
  const failure = explainFailure(error);
  const paint = createPaint(cli.stderr, cli.env);
  const [what = '', ...more] = renderFailure(failure);
  if (failure.message !== '') for (const line of [paint('bad', what), ...more]) cli.stderr.write(`${line}\n`);
  if (cli.env.TANDEM_DEBUG === '1' && error instanceof Error) cli.stderr.write(`${error.stack}\n`);
  if (args.includes('--json') && !(error instanceof CommandFailure && error.presented)) {
    const { code, message, where, remedy } = failure;
    cli.stdout.write(`${JSON.stringify({ error: { code, message, where, remedy } }, null, 2)}\n`);
  }
  return failure.exitCode;
}

function group(name: string, description: string, commands: readonly Command[]): Command {
  const parent = new Command(name).description(description);
  for (const command of commands) parent.addCommand(command);
  return parent;
}

/** Commander's own ways of writing and exiting give way to ours, in every command. */
function configure(command: Command, cli: Cli): Command {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => void cli.stdout.write(text),
    writeErr: (text) => void cli.stderr.write(text),
    outputError: (text, write) => write(`${text.replace(/^error: /, 'tandem: ')}${nounsOf(command, text)}`),
    getOutHelpWidth: () => cli.stdout.columns || 100,
    getErrHelpWidth: () => cli.stderr.columns || 100,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  command.showHelpAfterError(`  see: ${commandPath(command)} --help`);
  for (const child of command.commands) configure(child, cli);
  return command;
}

/** Of a verb that was typed without its noun, and is like none of the names where it stood: the nouns that have it. */
function nounsOf(command: Command, error: string): string {
  const verb = /^error: unknown command '(.*)'\n$/.exec(error)?.[1];
  const nouns = command.commands.filter((noun) => noun.commands.some((child) => child.name() === verb));
  const names = nouns.map((noun) => `${noun.name()} ${verb}`);
  return names.length === 0 ? '' : `(Did you mean ${names.length > 1 ? 'one of ' : ''}${names.join(', ')}?)\n`;
}

function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}
