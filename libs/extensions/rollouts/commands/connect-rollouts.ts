import type { Cli } from '@tandem/commands/command';
import { connectApi } from '@tandem/commands/environment';
import { type RolloutCalls, rolloutCalls } from '../client.ts';

/** Returns the calls for rollouts of the API for a command. */
export function connectRollouts(cli: Cli, options: { readonly url?: string }): RolloutCalls {
  return rolloutCalls(connectApi(cli, options).transport);
}
