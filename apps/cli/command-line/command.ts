/** What commands have in common: `--json`, an example; and for those that go through the API `--url` and a client. */
import { type Client, createClient } from '@tandem/client/create-client';
import { Command } from 'commander';
import { findApiKey, findApiUrl } from './addresses.ts';
import type { Cli, CommonOptions } from './cli.ts';

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

/** A command with `--json` and an example in its help. */
export function createCommand({ name, description, example, detail }: CommandText): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print one JSON document')
    .addHelpText('after', `${detail === undefined ? '' : `\n${detail}\n`}\nExample: ${example}`);
}

/** The same for a command that asks the API. */
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
