/** Ops that start batch runs of every scope, one after another. */
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
    const kind = choice < 0.35 ? 'all' : choice < 0.7 ? 'stale' : 'users';
    const distinct = [...new Set(userIds)];
    const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
      method: 'POST',
      path: '/v1/runs',
      body: { predictor: parts.predictor, scope: kind === 'users' ? { userIds: distinct } : kind },
      timeoutMs: parts.deadlines.run,
    });
    const id = call.status === 202 ? ((body as { readonly id?: string } | undefined)?.id ?? null) : null;
    parts.sink.write({ kind: 'run', ...call, scope: kind, users: kind === 'users' ? distinct.length : 0, id });
  }
  return repeat(parts, options.runsPerSecond, start);
}
