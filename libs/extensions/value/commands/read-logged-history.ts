/** Reads a history from the answers that the service has kept and the outcomes that were sent to it. */

import { CommandFailure } from '@tandem/commands/failure';
import { count, moment, printable } from '@tandem/commands/output/text';
import { createExplanationStore } from '@tandem/offline-store/explanations/kept-explanations';
import type { createPool } from '@tandem/offline-store/sql/database';
import type { KeptExplanation } from '@tandem/prediction/explanations/kept-explanation';
import { historyOfAnswers, type LoggedHistory } from '../logged-history.ts';
import { findRunSize, outcomesOfUsers } from '../outcomes-of-users.ts';
import type { ValueSource } from './report-history.ts';

type Pool = ReturnType<typeof createPool>;

interface LoggedRequest {
  readonly predictor: string;
  /** The name of an outcome, or a prefix of names with items and `*`. */
  readonly outcome: string;
  readonly withinMs: number;
  /** Whether a read without an outcome in time has an unknown outcome. */
  readonly isAbsentUnknown: boolean;
}

const PAGE = 2_000;

/** Reads the history. Rejects with a CommandFailure if no kept answer can be judged. */
export async function readLoggedHistory(
  pool: Pool,
  { predictor, outcome, ...asked }: LoggedRequest,
): Promise<ValueSource> {
  const kept = await readKept(pool, predictor);
  const [oldest] = kept.map(({ at }) => at).toSorted((a, b) => a.getTime() - b.getTime());
  if (oldest === undefined) throw nothingKept(predictor);
  const isPrefix = outcome.endsWith('*');
  const name = isPrefix ? outcome.slice(0, -1) : outcome;
  const userIds = [...new Set(kept.map(({ answer }) => answer.userId))];
  const outcomes = await outcomesOfUsers(pool, { userIds, name, isPrefix, since: oldest });
  if (outcomes.length === 0) throw noOutcomes(outcome, oldest);
  const { now, share, users } = await findRunSize(pool, predictor);
  const itemPrefix = isPrefix ? name : null;
  const scored = Math.round(users * share);
  const logged = historyOfAnswers({ predictor, kept, outcomes, ...asked, itemPrefix, now, users: scored });
  if (logged.history.reads.length === 0) throw noReads(predictor, logged);
  return {
    history: logged.history,
    features: logged.features,
    notes: notesOf(kept.length, outcomes.length, logged, asked),
  };
}

async function readKept(pool: Pool, predictor: string): Promise<KeptExplanation[]> {
  const store = createExplanationStore(pool);
  const kept: KeptExplanation[] = [];
  for (let before: number | undefined; ; before = kept.at(-1)?.number) {
    const page = await store.list({ predictor, limit: PAGE, ...(before === undefined ? {} : { before }) });
    kept.push(...page);
    if (page.length < PAGE) return kept;
  }
}

function nothingKept(predictor: string): CommandFailure {
  return new CommandFailure(`no answers of predictor ${predictor} are kept`, {
    remedy: 'set `explanations: { share, keepFor }` in its config, or write a history file (docs/value.md)',
  });
}

/** Without an outcome, every read would count as 0, and a misspelled name would give a report about nothing. */
function noOutcomes(outcome: string, since: Date): CommandFailure {
  const users = `users with kept answers since ${moment(since.toISOString())} UTC`;
  return new CommandFailure(`no outcome ${printable(outcome)} was sent for ${users}`, {
    remedy: 'check the name in --outcome, or send the outcomes: tandem outcome send',
  });
}

function noReads(predictor: string, { left }: LoggedHistory): CommandFailure {
  const counts = `${count(left.tooYoung)} are too young for --within, ${count(left.withoutInputs)} have no usable inputs`;
  const why =
    left.withRequest === 0 ? counts : `${counts}, ${count(left.withRequest)} are from requests with request features`;
  return new CommandFailure(`no kept answer of predictor ${predictor} can be judged: ${why}`, {
    remedy: 'wait, or use a shorter --within; explanations.keepFor must be longer than --within',
  });
}

const ABSENT_IS_ZERO =
  'An answer without an outcome in time counts as 0. If outcomes may be missing, send value 0 for what did not happen, and use --absent unknown.';

function notesOf(
  kept: number,
  outcomes: number,
  { left }: LoggedHistory,
  { isAbsentUnknown }: Pick<LoggedRequest, 'isAbsentUnknown'>,
): string[] {
  return [
    `From ${count(kept)} kept answers and ${count(outcomes)} outcomes; ${count(left.tooYoung)} answers are too young to have an outcome, ${count(left.withoutInputs)} have no usable inputs.`,
    'If an event lies between two kept answers, the features in between are unknown, so reads that need them are left out.',
    ...(isAbsentUnknown ? [] : [ABSENT_IS_ZERO]),
  ];
}
