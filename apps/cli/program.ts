/** Composes the CLI, runs one invocation and returns its exit code. */

import { Command, CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { type Cli, createPaint } from '@tandem/commands/command';
import { CommandFailure, EXIT_INTERRUPTED, EXIT_USAGE, explainFailure, renderFailure } from '@tandem/commands/failure';
import type { CommandsPart } from '@tandem/extension/extension';
import { loadParts } from '@tandem/extension/load-parts';
import { RELEASE } from '@tandem/telemetry/release';
import { SEND_OBJECT } from '@tandem/wire/problem';
import { adoptCommand } from './adopt/commands.ts';
import { auditCommands } from './audit.ts';
import { buildCommands } from './builds/commands.ts';
import { checkCommand } from './check/commands.ts';
import { historyCommands, migrateCommand } from './database.ts';
import { doctorCommand } from './doctor/commands.ts';
import { eventCommands } from './events.ts';
import { explainCommand, explanationCommands, replayCommand } from './explanations/commands.ts';
import { EXTENSIONS } from './extensions.ts';
import { generationCommands } from './generations/commands.ts';
import { initCommand } from './init/commands.ts';
import { keyCommands } from './keys/commands.ts';
import { loadCommand } from './load/commands.ts';
import { modelCommands } from './models/commands.ts';
import { predictCommand } from './predict.ts';
import { processCommands } from './processes.ts';
import { profileCommand } from './profile/commands.ts';
import { rankCommand } from './rank.ts';
import { runCommands } from './runs/commands.ts';
import { unwatchCommand, watchCommand } from './sources/commands.ts';
import { typesCommand } from './types/commands.ts';
import { upCommand } from './up/commands.ts';
import { userCommands } from './users.ts';
import { versionCommands } from './versions.ts';
import { workerCommand } from './worker/commands.ts';

/** Commands that must stop processes when they are interrupted. The others just end. */
const ENDS_IN_ITS_OWN_ORDER = new Set(['up', 'worker', 'profile']);

/** The commands in the order of the help. */
const COMMANDS: readonly ((cli: Cli) => CommandUnknownOpts)[] = [
  upCommand,
  workerCommand,
  loadCommand,
  initCommand,
  migrateCommand,
  adoptCommand,
  checkCommand,
  typesCommand,
  doctorCommand,
  watchCommand,
  unwatchCommand,
  predictCommand,
  rankCommand,
  explainCommand,
  replayCommand,
  eventCommands,
  runCommands,
  generationCommands,
  modelCommands,
  buildCommands,
  profileCommand,
  processCommands,
  userCommands,
  versionCommands,
  explanationCommands,
  auditCommands,
  keyCommands,
  historyCommands,
];

/** Creates the program, whose last commands are those of the extensions. */
export function createProgram(cli: Cli, extensions: readonly CommandsPart[]): CommandUnknownOpts {
  const program = new Command('tandem')
    .description("Per-user predictions, computed in batches and refreshed live where a user's context is fresher.")
    .version(RELEASE, '-V, --version')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText('after', '\nExample: tandem up --example, then in another terminal: tandem predict repurchase 42');
  for (const create of [...COMMANDS, ...extensions.flatMap(({ commands }) => commands)])
    program.addCommand(create(cli));
  return configure(program, cli);
}

/** Runs the command in `args` (without node and script). It neither throws nor exits. */
export async function runProgram(cli: Cli, args: readonly string[]): Promise<number> {
  let running: CommandUnknownOpts | undefined;
  const program = createProgram(cli, await loadParts(EXTENSIONS, 'commands')).hook('preAction', (_, command) => {
    running = command;
  });
  const done = program.parseAsync([...args], { from: 'user' });
  try {
    await (ENDS_IN_ITS_OWN_ORDER.has(args[0] ?? '') ? done : Promise.race([done, rejectWhenAborted(cli.signal)]));
    return 0;
  } catch (error) {
    // Help and version end this way too, with code 0. Commander has already printed the problem.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    return report(cli, args, error, running);
  }
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function report(cli: Cli, args: readonly string[], error: unknown, running: CommandUnknownOpts | undefined): number {
  if (cli.signal.aborted && error === cli.signal.reason) return EXIT_INTERRUPTED;
  const explained = explainFailure(error);
  const isOfBody = running && explained.remedy?.startsWith(SEND_OBJECT);
  const failure = isOfBody ? { ...explained, remedy: correctionOf(running, explained.where ?? '') } : explained;
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

/**
 * Returns the remedy for a rejected field of a request: the option or argument of the command with its value. For
 * `outcomes[0].window` that is `--window`, else `--outcome-window`, else `--outcome`.
 */
function correctionOf(command: CommandUnknownOpts, field: string): string {
  const parts = field.replaceAll(/\[\d+\]/g, '').split('.');
  const singular = parts.map((part) => part.replace(/s$/, ''));
  for (const [i, part] of [...parts.entries()].reverse()) {
    const joined = `${singular[i - 1]}${part.charAt(0).toUpperCase()}${part.slice(1)}`;
    const names = [part, joined, singular[i]];
    const option = command.options.find((one) => names.includes(one.attributeName()));
    const argument = command.registeredArguments.find((one) => one.name() === part);
    if (option || argument) return `correct ${option?.long ?? `<${part}>`}`;
  }
  return `see ${commandPath(command)} --help`;
}

/** Replaces the output and the exit of Commander in every command. */
function configure(command: CommandUnknownOpts, cli: Cli): CommandUnknownOpts {
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

/** Returns the nouns that have a verb, for a verb that was typed without its noun. */
function nounsOf(command: CommandUnknownOpts, error: string): string {
  const verb = /^error: unknown command '(.*)'\n$/.exec(error)?.[1];
  const nouns = command.commands.filter((noun) => noun.commands.some((child) => child.name() === verb));
  const names = nouns.map((noun) => `${noun.name()} ${verb}`);
  return names.length === 0 ? '' : `(Did you mean ${names.length > 1 ? 'one of ' : ''}${names.join(', ')}?)\n`;
}

function commandPath(command: CommandUnknownOpts): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}
