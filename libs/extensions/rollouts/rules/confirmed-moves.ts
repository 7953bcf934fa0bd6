import type { Confirming } from '@tandem/prediction/runs/withdrawals';
import type { RolloutStore } from './rollout-store.ts';

/** Returns the store, whose moves that may withdraw an arm resolve only once they are confirmed. */
export function withConfirmedMoves(rollouts: RolloutStore, confirming: Confirming): RolloutStore {
  const { begin, advance, promote, abort, end } = rollouts;
  return {
    ...rollouts,
    begin: (...asked) => confirming(() => begin(...asked)),
    advance: (...asked) => confirming(() => advance(...asked)),
    promote: (...asked) => confirming(() => promote(...asked)),
    abort: (...asked) => confirming(() => abort(...asked)),
    end: (...asked) => confirming(() => end(...asked)),
  };
}
