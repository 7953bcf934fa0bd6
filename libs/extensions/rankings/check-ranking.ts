/** Checks the argument of a ranking in an embedded reader. */
import { ARGUMENT, checkForm } from '@tandem/reading/check-form';
import type { Read, Sent } from '@tandem/wire/schema';
import { RANK_EXAMPLE, RankSchema } from './wire.ts';

/** A ranking request, as for `POST /v1/rankings/{predictor}`: user, candidates, and the output to rank by. */
export type AskedRanking = Sent<typeof RankSchema>;

/** Returns the ranking as the schema reads it. Throws `invalid_input`, naming the field. */
export function checkRanking(asked: AskedRanking): Read<typeof RankSchema> {
  return checkForm({ schema: RankSchema, example: RANK_EXAMPLE }, asked, ARGUMENT);
}
