/** Ops that start batch runs of every scope, one after another. */
import type { StartRun } from '../history.ts';
import { type Dice, type LoadParts, repeat } from './load-parts.ts';

export interface RunStarterOptions {
  readonly runsPerSecond: number;
  /** Of scope `users`, at most. */
  readonly mostUsers: number;
}

export function startRunStarter(parts: LoadParts, dice: Dice, options: RunStarterOptions): Promise<void> {
  async function start(): Promise<void> {
    const choice = dice.next();
    const userIds = Array.from({ length: 1 + dice.below(options.mostUsers) }, () =>
      String(1 + dice.below(parts.users)),
    );
    const kind = choice < 0.35 ? 'all' : choice < 0.7 ? 'stale' : [...new Set(userIds)];
    await startRun(parts, dice, kind);
  }
  return repeat(parts, options.runsPerSecond, start);
}

/**
 * @param scope user ids, for those alone
 * @param variant the arm whose model version scores; stable, where it is left out
 */
export async function startRun(
  parts: LoadParts,
  dice: Dice,
  scope: 'all' | 'stale' | readonly string[],
  variant?: string,
): Promise<void> {
  const ofArm = variant === undefined ? {} : { variant };
  const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
    method: 'POST',
    path: '/v1/runs',
    body: { predictor: parts.predictor, scope: typeof scope === 'string' ? scope : { userIds: scope }, ...ofArm },
    timeoutMs: parts.deadlines.run,
  });
  const id = call.status === 202 ? ((body as { readonly id?: string } | undefined)?.id ?? null) : null;
  const whom = typeof scope === 'string' ? { scope, users: 0 } : { scope: 'users' as const, users: scope.length };
  parts.sink.write({ kind: 'run', ...call, ...whom, ...ofArm, id } satisfies StartRun);
}
