/**
 * The commands that move a rollout, as one table. Each finds its rollout, asks for confirmation if the move changes
 * which versions users get, and shows the rollout afterwards.
 */

import { type ApiOptions, type Cli, confirm, createApiCommand, given, present } from '@tandem/commands/command';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { isUuid } from '@tandem/freshness/user-id';
import type { RolloutCalls, RolloutMove, RolloutState, RolloutView } from '../client.ts';
import { connectRollouts } from './connect-rollouts.ts';
import { renderRollout } from './render-rollout.ts';

const ACTIVE: ReadonlySet<RolloutState> = new Set(['preparing', 'running', 'held']);

/** Returns a rollout by its id, or the newest rollout of a predictor. */
export async function findRollout(client: RolloutCalls, named: string): Promise<RolloutView> {
  if (isUuid(named)) return client.find(named);
  const { rollouts } = await client.list({ predictor: named, limit: 1 });
  const [newest] = rollouts;
  if (newest) return newest;
  throw new CommandFailure(`${named} has no rollout yet`, {
    remedy: `tandem rollout start ${named} <version>`,
  });
}

/** Returns the same rollout if it is active. Rejects with a CommandFailure if it has ended. */
export async function findActive(client: RolloutCalls, named: string): Promise<RolloutView> {
  const rollout = await findRollout(client, named);
  if (ACTIVE.has(rollout.state)) return rollout;
  throw new CommandFailure(`the last rollout of ${rollout.predictor} is ${rollout.state}: ${rollout.reason}`, {
    remedy: `tandem rollout list --predictor ${rollout.predictor} shows all of its rollouts`,
  });
}

interface Move {
  readonly move: RolloutMove;
  readonly description: string;
  /** Returns the question before the move. Without it, the command does not ask. */
  readonly question?: (rollout: RolloutView, variant: string) => string;
  /** Whether the move takes an arm. */
  readonly takesVariant?: boolean;
}

const MOVES: readonly Move[] = [
  {
    move: 'advance',
    description: 'move a canary to its next step regardless of the analysis; after the last step, promote it',
    question: ({ predictor, percent, plan }) => {
      const next = (plan.kind === 'canary' && plan.steps?.find((step) => step > percent)) || 100;
      return `${predictor}: the candidate serves ${percent} % of the users. Go to ${next} %?`;
    },
  },
  {
    move: 'hold',
    description: 'hold a rollout at its step until it is resumed; a proven regression still rolls it back',
  },
  { move: 'resume', description: 'resume a held rollout; its analysis decides again' },
  {
    move: 'promote',
    description: 'promote an arm: it becomes stable and serves all users',
    takesVariant: true,
    question: ({ predictor, arms }, variant) => {
      const arm = arms.find((one) => one.variant === variant);
      return `${predictor}: serve model version ${arm?.modelVersion ?? '?'} to all users (now ${arm?.percent ?? 0} %)?`;
    },
  },
  {
    move: 'abort',
    description: 'abort a rollout: the stable arm serves all users from the next read on',
    question: ({ predictor, percent }) =>
      `${predictor}: move ${percent} % of the users back to the stable model version?`,
  },
  {
    move: 'end',
    description: 'end a shadow or an A/B test; the stable arm serves all users',
    question: ({ predictor, kind }) => `${predictor}: end the ${kind === 'ab' ? 'A/B test' : kind}?`,
  },
];

interface Options extends ApiOptions {
  readonly reason?: string;
  readonly variant?: string;
  readonly yes?: boolean;
}

/** Returns a command for each move. */
export function moveCommands(cli: Cli) {
  return MOVES.map((move) => createMoveCommand(cli, move));
}

function createMoveCommand(cli: Cli, { move, description, question, takesVariant }: Move) {
  const command = createApiCommand({ name: move, description, example: `tandem rollout ${move} repurchase` })
    .argument('<predictor>', 'the predictor, or the id of a rollout')
    .option('--reason <text>', 'the reason, for the audit');
  if (takesVariant) command.option('--variant <arm>', 'the arm that becomes stable');
  if (question) command.option('--yes', 'do not ask');
  return command.action(async (named: string, { reason, variant, yes, ...options }: Options) => {
    const client = connectRollouts(cli, options);
    const rollout = await findActive(client, named);
    const arm = armOf(rollout, variant, takesVariant);
    if (question && !yes) await confirm(cli, question(rollout, arm));
    const moved = await client.move(rollout.id, move, {
      ...given({ reason }),
      ...(takesVariant ? { variant: arm } : {}),
    });
    present(cli, options, moved, () => renderRollout(moved, cli.paint, cli.now()));
  });
}

/** Returns the named arm, or else the only one. */
function armOf({ arms }: RolloutView, named: string | undefined, mustBeOne = false): string {
  const [only, other] = arms.map(({ variant }) => variant);
  if (mustBeOne && named === undefined && other !== undefined) {
    throw usageError('which arm?', `add --variant, one of ${arms.map(({ variant }) => variant).join(', ')}`);
  }
  return named ?? only ?? 'candidate';
}
