import { TandemError } from '@tandem/freshness/errors';
import type { RolloutKind } from '@tandem/freshness/rollout';
import type { Db } from '../sql/database.ts';
import { fetchFirst, statements } from '../sql/statements.ts';

/**
 * Rejects with `rollout_conflict` if a rollout of the predictor is active, since only the rollout may then change its
 * arms.
 * @param consequence a sentence on the changes that are rejected until the rollout ends
 */
export async function refuseUnderRollout(
  db: Db,
  predictor: string,
  consequence = `Until it ends, nothing else can change which model version ${predictor} serves.`,
): Promise<void> {
  const rollouts = statements
    .selectFrom('tandem.rollouts')
    .select(['number', 'state', 'kind'])
    .where('predictor', '=', predictor);
  const active = await fetchFirst(db, rollouts.where('state', 'in', ['preparing', 'running', 'held']));
  if (!active) return;
  throw new TandemError(
    'rollout_conflict',
    `Rollout ${active.number} of ${predictor} is ${active.state}. ${consequence}`,
    { field: 'predictor', remedy: waysToEnd(predictor, active.kind) },
  );
}

function waysToEnd(predictor: string, kind: RolloutKind): string {
  const abort = `tandem rollout abort ${predictor} aborts it`;
  const end = `tandem rollout end ${predictor} ends it`;
  switch (kind) {
    case 'canary':
      return `${abort}, tandem rollout promote ${predictor} ends it with the new version`;
    case 'shadow':
      return `${abort}, ${end}`;
    case 'ab':
      return `${abort}, ${end}, tandem rollout promote ${predictor} --variant <arm> ends it with the version of the arm`;
  }
}
