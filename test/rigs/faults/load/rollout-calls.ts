/**
 * The calls of operators that move rollouts. The history gets the intent of a call before it is sent, then its result.
 */

import type { Rollback } from '@tandem/client/wire';
import type { RolloutView } from '@tandem/rollouts/client';
import { type Move, type MoveIntent, monotonicNow, type ToldArm, type ToldRollout } from '../history.ts';
import type { HttpRequest } from './http-caller.ts';
import type { Dice, LoadParts } from './load-parts.ts';

/**
 * Sends the calls of operators. Each returns its result, or undefined if the result is unknown or the call was
 * rejected.
 */
export interface Ops {
  start(arm: ToldArm, plan: object): Promise<ToldRollout | undefined>;
  move(rollout: ToldRollout, what: Exclude<Move, 'start'>): Promise<ToldRollout | undefined>;
  survey(): Promise<Surveyed | undefined>;
  /** Rolls back, and returns the model version that serves afterwards. */
  rollBack(): Promise<number | undefined>;
}

export interface Surveyed {
  /** The stable arm's model version. */
  readonly stable: number;
  /** The newest rollout; null if there is none. */
  readonly rollout: ToldRollout | null;
}

/** Turns off the automatic analysis, so that only the load moves a rollout. */
const ANALYSIS = { automatic: false };

export function createOps({ caller, apis, predictor, deadlines, sink }: LoadParts, dice: Dice): Ops {
  const ownPath = `/v1/predictors/${predictor}`;
  const send = (request: HttpRequest) => caller.send(dice.oneOf(apis), request);

  function intend(move: MoveIntent['move'], arm: ToldArm | null): void {
    const at = monotonicNow();
    sink.write({ kind: 'move intent', at, ended: at, move, arm });
  }

  async function sendMove(move: Move, id: string | null, path: string, body: object): Promise<ToldRollout | undefined> {
    const answered = await send({ method: 'POST', path, body, timeoutMs: deadlines.rollout });
    const { status } = answered.call;
    const told = status === 200 || status === 201 ? toldOf(answered.body as RolloutView) : null;
    sink.write({ kind: 'rollout', ...answered.call, move, id, told });
    return told ?? undefined;
  }

  return {
    async start(arm, plan) {
      intend('start', arm);
      return sendMove('start', null, `${ownPath}/rollouts`, { ...plan, analysis: ANALYSIS });
    },
    async move(rollout, what) {
      const { id, variant } = rollout;
      intend(what, armOf(rollout));
      return sendMove(what, id, `/v1/rollouts/${id}/${what}`, what === 'promote' ? { variant } : {});
    },
    async survey() {
      const timeoutMs = deadlines.survey / 2;
      const listed = await send({ method: 'GET', path: `/v1/rollouts?predictor=${predictor}&limit=1`, timeoutMs });
      const shown = listed.call.status === 200 ? await send({ method: 'GET', path: ownPath, timeoutMs }) : listed;
      const call = { ...shown.call, at: listed.call.at };
      if (call.status !== 200) {
        sink.write({ kind: 'survey', ...call, stable: null, rollout: null });
        return undefined;
      }
      const [newest] = (listed.body as { readonly rollouts: readonly RolloutView[] }).rollouts;
      const rollout = newest ? toldOf(newest) : null;
      const stable = Number((shown.body as { readonly modelVersion: string }).modelVersion);
      sink.write({ kind: 'survey', ...call, stable, rollout });
      return { stable, rollout };
    },
    async rollBack() {
      intend('rollback', null);
      const path = `${ownPath}/rollback`;
      const { call, body } = await send({ method: 'POST', path, body: {}, timeoutMs: deadlines.rollback });
      const moved = call.status === 200 ? (body as Rollback | undefined) : undefined;
      const [from, to] = [moved?.from ?? null, moved?.to ?? null];
      const toVersion = numberOf(to?.modelVersion);
      const versions = { fromVersion: numberOf(from?.modelVersion), toVersion };
      const generations = { from: from?.generation ?? null, to: to?.generation ?? null };
      const bases = { fromBase: from?.base ?? null, toBase: to?.base ?? null };
      sink.write({ kind: 'rollback', ...call, ...generations, ...versions, ...bases });
      return toVersion ?? undefined;
    },
  };
}

function armOf({ variant, version }: ToldArm): ToldArm {
  return { variant, version };
}

/** Returns the arm of a rollout. A rollout that is over has no arms, so the plan names them. */
function toldOf({ id, state, step, plan }: RolloutView): ToldRollout {
  const { steps = [], version } = plan as { readonly steps?: readonly number[]; readonly version?: string };
  const [arm] =
    (plan as { readonly arms?: readonly { readonly variant: string; readonly version: string }[] }).arms ?? [];
  const served = arm ?? { variant: 'candidate', version: version ?? '' };
  return { id, state, step, steps, variant: served.variant, version: Number(served.version) };
}

function numberOf(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}
