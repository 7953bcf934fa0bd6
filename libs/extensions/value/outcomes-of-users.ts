/** Reads the outcomes of users for reports on kept answers. */
import { type Db, query, queryOne } from '@tandem/offline-store/sql/database';
import type { UserOutcome } from './logged-history.ts';

interface OutcomeQuery {
  readonly userIds: readonly string[];
  readonly name: string;
  /** Whether `name` is a prefix of the names: `click:` for `click:42`. */
  readonly isPrefix: boolean;
  readonly since: Date;
}

/** Returns the users' outcomes with this name, by time. */
export function outcomesOfUsers(db: Db, { userIds, name, isPrefix, since }: OutcomeQuery): Promise<UserOutcome[]> {
  return query<UserOutcome>(db, {
    text: `select user_id as "userId", name, value, time from tandem.outcomes
      where user_id = any($1::text[]) and time >= $4 and (name = $2 or ($3 and starts_with(name, $2))) order by time`,
    values: [userIds, name, isPrefix, since],
  });
}

/**
 * Returns this database's clock, the number of users in the predictor's newest published generation (0 if there is
 * none), and the share of users whose answers are kept (0 if none are).
 */
export function findRunSize(db: Db, predictor: string) {
  return queryOne<{ now: Date; users: number; share: number }>(db, {
    text: `select clock_timestamp() as now,
        coalesce((select users from tandem.generations
          where predictor = $1 and state = 'published' order by number desc limit 1), 0) as users,
        coalesce((select (policy->'explanations'->>'share')::float8 from tandem.predictors where name = $1), 0) as share`,
    values: [predictor],
  });
}
