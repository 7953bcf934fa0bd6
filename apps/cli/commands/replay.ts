/** `tandem replay`: computes an answer again that was kept. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { renderReplay } from '../explanations/render-kept.ts';

/** A model that nobody serves any more has to be loaded first. */
const PATIENCE_MS = 60_000;

export function replayCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'replay',
    description: 'compute a kept answer again, by its own model version on its own inputs, and compare',
    detail:
      'Ends with 0 where it agrees, or its inputs are of another context; 1: it differs, or could not be computed.',
    example: 'tandem replay 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  })
    .argument('<id>', 'as `tandem explanation list` tells it')
    .action(async (id: string, options: ApiOptions) => {
      const replay = await connect(cli, options).explanations.replay(id, { timeoutMs: PATIENCE_MS });
      present(cli, options, replay, () => renderReplay(replay, cli.paint));
      if (replay.verdict === 'differs' || replay.verdict === 'refused')
        throw new CommandFailure('', { presented: true });
    });
}
