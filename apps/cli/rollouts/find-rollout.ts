/** The rollout that a command is about: by its id, or the active one of a predictor. */
import type { Client } from '@tandem/client/create-client';
import type { RolloutState, RolloutView } from '@tandem/client/rollouts';
import { CommandFailure } from '../command-line/failure.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ACTIVE: ReadonlySet<RolloutState> = new Set(['preparing', 'running', 'held']);

/** @param named a predictor, of which the newest counts, or a rollout's id */
export async function findRollout(client: Client, named: string): Promise<RolloutView> {
  if (UUID.test(named)) return client.rollouts.find(named);
  const { rollouts } = await client.rollouts.list({ predictor: named, limit: 1 });
  const [newest] = rollouts;
  if (newest) return newest;
  throw new CommandFailure(`${named} has no rollout yet`, {
    remedy: `tandem rollout start ${named} <version>`,
  });
}

export async function findActive(client: Client, named: string): Promise<RolloutView> {
  const rollout = await findRollout(client, named);
  if (ACTIVE.has(rollout.state)) return rollout;
  throw new CommandFailure(`the last rollout of ${rollout.predictor} is ${rollout.state}: ${rollout.reason}`, {
    remedy: `tandem rollout list --predictor ${rollout.predictor} shows them all`,
  });
}
