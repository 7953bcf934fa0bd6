/** Ops that start batch runs of every scope, some of them with a budget, one after another. */
import type { StartRun } from '../history.ts';
import { type Dice, type LoadParts, repeat } from './load-parts.ts';

export interface RunStarterOptions {
  readonly runsPerSecond: number;
  /** Of scope `users`, at most. */
  readonly mostUsers: number;
  /** Of runs of scope `all`, the share that have a budget. */
  readonly budgeted: number;
}

/** Budgets, as shares of all users: from hardly anybody, so that most answers are of the base. */
const SHARES = [0.02, 0.1, 0.25];

export function startRunStarter(parts: LoadParts, dice: Dice, options: RunStarterOptions): Promise<void> {
  async function start(): Promise<void> {
    const choice = dice.next();
    const userIds = Array.from({ length: 1 + dice.below(options.mostUsers) }, () =>
      String(1 + dice.below(parts.users)),
    );
    const kind = choice < 0.35 ? 'all' : choice < 0.7 ? 'stale' : [...new Set(userIds)];
    const hasBudget = kind === 'all' && dice.next() < options.budgeted;
    await startRun(parts, dice, kind, hasBudget ? { share: dice.oneOf(SHARES) } : {});
  }
  return repeat(parts, options.runsPerSecond, start);
}

/** What a run may say of itself beside its scope. */
interface RunLimits {
  /** The arm whose model version scores; stable, where it is left out. */
  readonly variant?: string;
  /** Of all users; no budget, where it is left out. */
  readonly share?: number;
}

/** @param scope user ids, for those alone */
export async function startRun(
  parts: LoadParts,
  dice: Dice,
  scope: 'all' | 'stale' | readonly string[],
  limits: RunLimits = {},
): Promise<void> {
  const { share, ...ofArm } = limits;
  const budget = share === undefined ? {} : { budget: { share } };
  const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
    method: 'POST',
    path: '/v1/runs',
    body: {
      predictor: parts.predictor,
      scope: typeof scope === 'string' ? scope : { userIds: scope },
      ...ofArm,
      ...budget,
    },
    timeoutMs: parts.deadlines.run,
  });
  const id = call.status === 202 ? ((body as { readonly id?: string } | undefined)?.id ?? null) : null;
  const whom = typeof scope === 'string' ? { scope, users: 0 } : { scope: 'users' as const, users: scope.length };
  parts.sink.write({ kind: 'run', ...call, ...whom, ...limits, id } satisfies StartRun);
}
