/** Ops that go back to the generation before, now and then. */
import type { Dice, LoadParts } from './load-parts.ts';
import { repeat } from './load-parts.ts';

interface Moved {
  readonly from: { readonly generation: string } | null;
  readonly to: { readonly generation: string };
}

export function startRollBacker(parts: LoadParts, dice: Dice, perSecond: number): Promise<void> {
  async function rollBack(): Promise<void> {
    const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
      method: 'POST',
      path: `/v1/predictors/${parts.predictor}/rollback`,
      body: {},
      timeoutMs: parts.deadlines.rollback,
    });
    const moved = call.status === 200 ? (body as Moved | undefined) : undefined;
    const [from, to] = [moved?.from?.generation ?? null, moved?.to.generation ?? null];
    parts.sink.write({ kind: 'rollback', ...call, from, to });
  }
  return repeat(parts, perSecond, rollBack);
}
