/**
 * Lists the bases of generations once a second. The checker needs this list, because an answer names only one layer.
 */
import type { GenerationView } from '@tandem/client/wire';
import type { ListGenerations } from '../history.ts';
import { type Dice, type LoadParts, repeat } from './load-parts.ts';

/** The number of generations to list: more than can be published while no API answers. */
const MOST_LISTED = 50;

export function startLister(parts: LoadParts, dice: Dice): Promise<void> {
  return repeat(parts, 1, async () => void (await listGenerations(parts, dice)));
}

/** Lists the generations, and returns whether an API answered. */
export async function listGenerations(parts: LoadParts, dice: Dice): Promise<boolean> {
  const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
    method: 'GET',
    path: `/v1/predictors/${parts.predictor}/generations`,
    timeoutMs: parts.deadlines.generations,
  });
  const answer =
    call.status === 200 ? (body as { readonly generations: readonly GenerationView[] } | undefined) : undefined;
  const bases = (answer?.generations ?? [])
    .filter(({ state }) => state !== 'building' && state !== 'held_back')
    .flatMap(({ generation, base }) => (base === null ? [] : [{ generation, base }]))
    .slice(0, MOST_LISTED);
  parts.sink.write({ kind: 'generations', ...call, bases } satisfies ListGenerations);
  return answer !== undefined;
}
