import { type Client, clientOf } from '@tandem/client/create-client';
import type { Cli } from '@tandem/commands/command';
import { connectApi } from '@tandem/commands/environment';

/** Returns a client of the API for a command. */
export function connect(cli: Cli, options: { readonly url?: string }): Client {
  return clientOf(connectApi(cli, options));
}
