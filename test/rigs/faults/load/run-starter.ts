/** Operators who start batch runs of every scope, one after another. Some runs have a budget. */
import type { Budget } from '@tandem/prediction/runs/budget';
import type { StartRun } from '../history.ts';
import { type Dice, type LoadParts, repeat } from './load-parts.ts';

export interface RunStarterOptions {
  readonly runsPerSecond: number;
  /** The most users of a run of scope `users`. */
  readonly mostUsers: number;
  /** The share of runs of scope `all` that have a budget. */
  readonly budgeted: number;
}

/**
 * Budgets for very few users, with most answers from the base, up to about half of the users. A full run takes 0.001 to
 * 0.004 CPU minutes.
 */
const BUDGETS: readonly Budget[] = [
  ...[0.02, 0.1, 0.25].map((share) => ({ share })),
  ...[0.0002, 0.0005, 0.001].map((cpuMinutes) => ({ cpuMinutes })),
];

export function startRunStarter(parts: LoadParts, dice: Dice, options: RunStarterOptions): Promise<void> {
  async function start(): Promise<void> {
    const choice = dice.next();
    const userIds = Array.from({ length: 1 + dice.below(options.mostUsers) }, () =>
      String(1 + dice.below(parts.users)),
    );
    const kind = choice < 0.35 ? 'all' : choice < 0.7 ? 'stale' : [...new Set(userIds)];
    const hasBudget = kind === 'all' && dice.next() < options.budgeted;
    await startRun(parts, dice, kind, hasBudget ? { budget: dice.oneOf(BUDGETS) } : {});
  }
  return repeat(parts, options.runsPerSecond, start);
}

/** The options of a run beside its scope. */
interface RunLimits {
  /** The arm whose model version scores; default: the stable arm. */
  readonly variant?: string;
  /** Default: no limit. */
  readonly budget?: Budget;
}

/** @param scope `all`, `stale`, or the ids of the users to score */
export async function startRun(
  parts: LoadParts,
  dice: Dice,
  scope: 'all' | 'stale' | readonly string[],
  limits: RunLimits = {},
): Promise<void> {
  const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
    method: 'POST',
    path: '/v1/runs',
    body: {
      predictor: parts.predictor,
      scope: typeof scope === 'string' ? scope : { userIds: scope },
      ...limits,
    },
    timeoutMs: parts.deadlines.run,
  });
  const id = call.status === 202 ? ((body as { readonly id?: string } | undefined)?.id ?? null) : null;
  const whom = typeof scope === 'string' ? { scope, users: 0 } : { scope: 'users' as const, users: scope.length };
  parts.sink.write({ kind: 'run', ...call, ...whom, ...limits, id } satisfies StartRun);
}
