/**
 * Operators who move arms, one act after another. They start, survey, advance, promote and abort canaries and A/B
 * tests, also during a run of an arm. They roll back generations, also to another model version. After a call with an
 * unknown result they survey before they continue.
 */
import type { Move, ToldRollout } from '../history.ts';
import type { Dice, LoadParts } from './load-parts.ts';
import { repeat } from './load-parts.ts';
import { createOps } from './rollout-calls.ts';
import { startRun } from './run-starter.ts';

export interface MoverOptions {
  readonly movesPerSecond: number;
  readonly abortedInPreparing: number;
  readonly rollbacksPerSecond: number;
  /** Runs an act while no other operator acts. */
  inTurn(act: () => Promise<void>): Promise<void>;
  /** The number of model versions. */
  readonly versions: number;
}

const STEPS = [
  [5, 25, 60, 100],
  [20, 50, 80, 100],
  [40, 100],
];

export function startMover(parts: LoadParts, dice: Dice, options: MoverOptions): Promise<void> {
  const { movesPerSecond, abortedInPreparing, rollbacksPerSecond, versions } = options;
  const ops = createOps(parts, dice);
  /** The active rollout as the service last reported it. If undefined, the operators must survey first. */
  let active: ToldRollout | null | undefined = null;
  /** The highest version that was ever stable: rollouts of higher versions need steps. */
  let highest = 1;

  async function act(): Promise<void> {
    if (dice.next() < rollbacksPerSecond / (movesPerSecond + rollbacksPerSecond)) return rollBack();
    if (active === undefined) return look();
    if (active === null) return start();
    return active.state === 'preparing' ? prepare(active) : go(active);
  }

  async function rollBack(): Promise<void> {
    const served = await ops.rollBack();
    if (served === undefined) active = undefined;
    else highest = Math.max(highest, served);
  }

  async function look(): Promise<void> {
    const told = await ops.survey();
    if (told) highest = Math.max(highest, told.stable);
    active = told && keep(told.rollout);
  }

  function keep(told: ToldRollout | null | undefined): ToldRollout | null | undefined {
    if (told?.state === 'promoted') highest = Math.max(highest, told.version);
    return told && (isActive(told) ? told : null);
  }

  async function start(): Promise<void> {
    // Some rollouts are of a former version, which needs no steps.
    const isNew = dice.next() < 0.85 && highest < versions;
    const version = isNew ? highest + 1 : 1 + dice.below(highest);
    const coverage = dice.next() < 0.5 ? 'live' : 'required';
    const [variant, weight] = dice.next() < 0.2 ? ['blue', 30 + dice.below(60)] : ['candidate', 0];
    const plan =
      weight > 0
        ? { kind: 'ab', arms: [{ variant, version: String(version), weight }], coverage }
        : { kind: 'canary', version: String(version), steps: dice.oneOf(STEPS), coverage };
    active = keep(await ops.start({ variant, version }, plan));
  }

  async function prepare(rollout: ToldRollout): Promise<void> {
    const choice = dice.next();
    if (choice < abortedInPreparing / 2) return move(rollout, 'abort');
    return choice < abortedInPreparing ? abortItsRun(rollout) : look();
  }

  async function go(rollout: ToldRollout): Promise<void> {
    const choice = dice.next();
    if (choice < 0.15) return move(rollout, rollout.steps.length > 0 ? 'abort' : 'end');
    if (choice < 0.25) return move(rollout, 'promote');
    if (choice < 0.4) return abortItsRun(rollout);
    if (choice < 0.55) return void (await startRun(parts, dice, 'all', { variant: rollout.variant }));
    return rollout.steps.length > 0 ? move(rollout, 'advance') : look();
  }

  async function abortItsRun(rollout: ToldRollout): Promise<void> {
    await startRun(parts, dice, 'all', { variant: rollout.variant });
    await move(rollout, 'abort');
  }

  async function move(rollout: ToldRollout, what: Exclude<Move, 'start'>): Promise<void> {
    active = keep(await ops.move(rollout, what));
  }

  return repeat(parts, movesPerSecond + rollbacksPerSecond, () => options.inTurn(act));
}

export function isActive({ state }: ToldRollout): boolean {
  return state === 'preparing' || state === 'running' || state === 'held';
}
