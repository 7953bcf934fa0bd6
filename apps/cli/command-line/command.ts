/** What commands have in common: `--json`, an example and a confirmation; commands that use the API also have `--url` and a client. */

import { type Client, createClient } from '@tandem/client/create-client';
import { Command } from 'commander';
import type { Cli } from './cli.ts';
import { findApiKey, findApiUrl } from './environment.ts';
import { CommandFailure, EXIT_USAGE } from './failure.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

export interface ApiOptions extends CommonOptions {
  readonly url?: string;
}

export interface CommandText {
  /** The verb, as typed after its noun. */
  readonly name: string;
  readonly description: string;
  readonly example: string;
  /** What its help says below the options. */
  readonly detail?: string;
}

/** Creates a command with `--json` and an example in its help. */
export function createCommand({ name, description, example, detail }: CommandText): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print one JSON document')
    .addHelpText('after', `${detail === undefined ? '' : `\n${detail}\n`}\nExample: ${example}`);
}

/** Creates such a command that also has `--url`, for the API. */
export function createApiCommand(text: CommandText): Command {
  return createCommand(text).option(
    '--url <address>',
    'where the API listens (TANDEM_URL; default http://127.0.0.1:8080)',
  );
}

export function connect(cli: Cli, options: ApiOptions): Client {
  // A person waits longer than an application's request does, but gives up on an outage sooner.
  return createClient({
    url: findApiUrl(cli, options.url),
    ...findApiKey(cli),
    source: 'tandem-cli',
    timeoutMs: 10_000,
    retryForMs: 10_000,
  });
}

/** Asks before a change. Throws if the answer is not yes, or if there is no terminal to ask on. */
export async function confirm(cli: Cli, question: string): Promise<void> {
  const answer = await askerOf(cli)(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure('nothing was changed');
}

/** Returns how to ask. Throws if there is no terminal: call it before the question's own look-ups. */
export function askerOf({ ask }: Pick<Cli, 'ask'>): NonNullable<Cli['ask']> {
  if (ask !== undefined) return ask;
  throw new CommandFailure('this asks before it acts, and nobody is here to answer', {
    remedy: 'add --yes',
    exitCode: EXIT_USAGE,
  });
}

/** Prints the result of a command: as one JSON document with `--json`, else as the lines that `render` returns. */
export function present<T>(
  cli: Cli,
  options: CommonOptions,
  result: T,
  render: (result: T) => readonly string[],
): void {
  if (options.json) cli.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else for (const line of render(result)) cli.stdout.write(`${line}\n`);
}

/** Creates the command of a noun from those of its verbs. */
export function group(name: string, description: string, commands: readonly Command[]): Command {
  const parent = new Command(name).description(description);
  for (const command of commands) parent.addCommand(command);
  return parent;
}
