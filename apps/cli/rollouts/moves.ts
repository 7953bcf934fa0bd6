/** The family of commands that move a rollout: each asks before it does what hurts, and shows what it has become. */
import type { RolloutMove, RolloutView } from '@tandem/client/rollouts';
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { confirm } from '../command-line/confirm.ts';
import { CommandFailure, EXIT_USAGE } from '../command-line/failure.ts';
import { findActive } from './find-rollout.ts';
import { renderRollout } from './render-rollout.ts';

export interface MoveText {
  readonly move: RolloutMove;
  readonly description: string;
  /** What is asked before it is done; without it nothing is asked. */
  readonly question?: (rollout: RolloutView, variant: string) => string;
  /** Whether it takes an arm. */
  readonly takesVariant?: boolean;
}

interface Options extends ApiOptions {
  readonly reason?: string;
  readonly variant?: string;
  readonly yes?: boolean;
}

export function createMoveCommand(cli: Cli, { move, description, question, takesVariant }: MoveText): Command {
  const command = createApiCommand({ name: move, description, example: `tandem rollout ${move} repurchase` })
    .argument('<predictor>', 'whose rollout, or the id of one')
    .option('--reason <text>', 'why, for the audit');
  if (takesVariant) command.option('--variant <arm>', 'the arm that everybody is served from then');
  if (question) command.option('--yes', 'do not ask');
  return command.action(async (named: string, { reason, variant, yes, ...options }: Options) => {
    const client = connect(cli, options);
    const rollout = await findActive(client, named);
    const arm = armOf(rollout, variant, takesVariant);
    if (question && !yes) await confirm(cli, question(rollout, arm));
    const moved = await client.rollouts.move(rollout.id, move, {
      ...(reason === undefined ? {} : { reason }),
      ...(takesVariant ? { variant: arm } : {}),
    });
    present(cli, options, moved, () => renderRollout(moved, cli.paint, cli.now()));
  });
}

/** The one that is named, or the only one. */
function armOf({ arms }: RolloutView, named: string | undefined, mustBeOne = false): string {
  const [only, other] = arms.map(({ variant }) => variant);
  if (mustBeOne && named === undefined && other !== undefined) {
    throw new CommandFailure('which arm?', {
      remedy: `add --variant, one of ${arms.map(({ variant }) => variant).join(', ')}`,
      exitCode: EXIT_USAGE,
    });
  }
  return named ?? only ?? 'candidate';
}
