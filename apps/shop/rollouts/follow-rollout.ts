/**
 * Starts a rollout and reports its progress: each step, the outcomes in the shop meanwhile, and why it advanced or not.
 */
import type { Client } from '@tandem/client/create-client';
import type { RolloutInput, RolloutState, RolloutView } from '@tandem/client/wire';
import { renderLook, renderReason, renderStep, renderTally } from './render.ts';
import type { Tally } from './tally.ts';

export interface FollowParts {
  readonly tandem: Client;
  readonly tally: Tally;
  readonly print: (line: string) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

const lookMs = 500;
/** Milliseconds after which a first step has too few customers to prove anything. */
const firstStepMs = 30_000;
/** Milliseconds without a change after which the rollout counts as stuck. `reason` then says what it waits for. */
const patienceMs = 180_000;

export function isOver(state: RolloutState): boolean {
  return state === 'promoted' || state === 'aborted' || state === 'ended';
}

/** Follows a rollout to its end. Rejects if it does not change for minutes. */
export async function followRollout(parts: FollowParts, plan: RolloutInput): Promise<RolloutView> {
  let rollout = await startRollout(parts, plan);
  while (!isOver(rollout.state)) rollout = await awaitMove(parts, rollout);
  return rollout;
}

/** Starts a rollout. Resolves when its arms serve users. */
export async function beginRollout(parts: FollowParts, plan: RolloutInput): Promise<RolloutView> {
  let rollout = await startRollout(parts, plan);
  while (rollout.state === 'preparing') rollout = await awaitMove(parts, rollout);
  return rollout;
}

async function startRollout({ tandem, print }: FollowParts, plan: RolloutInput): Promise<RolloutView> {
  const rollout = await tandem.rollouts.start('repurchase', plan);
  print(renderStep(rollout));
  return rollout;
}

/** Returns the rollout after its next change of step or state. */
async function awaitMove(parts: FollowParts, rollout: RolloutView): Promise<RolloutView> {
  const { tandem, sleep, print } = parts;
  const isFirstStep = rollout.state === 'running' && rollout.kind === 'canary' && rollout.step === 0;
  for (let waitedMs = 0; ; waitedMs += lookMs) {
    await sleep(lookMs);
    const now = await tandem.rollouts.find(rollout.id);
    if (now.state !== rollout.state || now.step !== rollout.step) {
      await tellMove(parts, rollout, now);
      return now;
    }
    if (isFirstStep && waitedMs === firstStepMs) {
      for (const line of renderReason(`held: ${now.reason}`)) print(line);
      print('      More reads of so few customers give no more evidence. The operator advances the rollout by hand.');
      await tandem.rollouts.move(now.id, 'advance', { reason: 'more customers are needed for a verdict' });
    }
    if (waitedMs > patienceMs)
      throw new Error(`rollout ${now.rollout} has stayed at ${now.percent} % for minutes: ${now.reason}`);
  }
}

/** Prints the outcomes until the change, the look that moved the rollout, and the arms that now serve. */
async function tellMove({ tandem, tally, print }: FollowParts, before: RolloutView, now: RolloutView): Promise<void> {
  const seen = tally.take();
  if (before.state !== 'preparing') {
    for (const line of renderTally(seen)) print(line);
    const looks = await tandem.rollouts.checks(now.id, 5);
    const look = looks.find(({ applied, step }) => applied && step === before.step);
    for (const line of look ? renderLook(look) : renderReason(now.reason)) print(line);
  }
  print(renderStep(now));
}
