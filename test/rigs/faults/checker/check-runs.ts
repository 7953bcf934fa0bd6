/** Checks that every run has ended, done or failed with a reason, and accounts for each user. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Queryable } from './check-stores.ts';
import type { Checker } from './checker.ts';

interface StoredRun {
  readonly id: string;
  readonly scope: 'all' | 'stale' | 'users';
  readonly state: string;
  readonly error: string | null;
  readonly expected: number;
  readonly scored: number;
  readonly failed: number;
  readonly named: number;
  readonly openChunks: number;
  /** Rows of its generation; null if it made none, or if the generation is dropped. */
  readonly rows: number | null;
  readonly distinctUsers: number | null;
  /** Users in the generation or its base that were never erased. */
  readonly lasting: number | null;
  /**
   * Whether a budget left, or may have left, users on a base. The row of a base may expire before a dropped generation.
   */
  readonly isOfSome: boolean;
  /** Rows carried over from the previous generation. */
  readonly carried: number;
}

/** How many ended runs of a predictor retention keeps, and how many failures a run names. */
const KEPT_RUNS = 200;
const NAMED_FAILURES = 1_000;
const POLL_MS = 200;

/**
 * Waits until all runs have ended, then records violations.
 * @param users the number of the predictor's users
 */
export async function checkRuns(db: Queryable, checker: Checker, users: number, withinMs: number): Promise<void> {
  await untilRunsEnd(db, withinMs);
  const erasable = namesOfErasable(checker);
  const { rows } = await db.query<StoredRun>({ text: RUNS, values: [erasable] });
  for (const run of rows) checkRun(checker, run, { users, erasable: erasable.length });
  if (rows.length >= KEPT_RUNS) return;
  const stored = new Set(rows.map(({ id }) => id));
  for (const id of checker.runs) {
    if (!stored.has(id)) checker.violations.note('run not ended', 'acknowledged, and not stored', { id });
  }
}

/** Resolves when all runs have ended, or after the time limit. */
export async function untilRunsEnd(db: Queryable, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    const { rows } = await db.query({
      text: `select from tandem.runs where state in ('planned', 'running', 'publishing') limit 1`,
    });
    if (rows.length === 0) return;
    await pause(POLL_MS);
  }
}

function namesOfErasable({ known }: Checker): readonly string[] {
  const numbers = new Set(known.erasures.users());
  return [...known.users].filter(([, user]) => numbers.has(user)).map(([userId]) => userId);
}

interface Whom {
  readonly users: number;
  /** The number of users who may be erased and readmitted during a run. */
  readonly erasable: number;
}

function checkRun({ violations }: Checker, run: StoredRun, { users, erasable }: Whom): void {
  if (run.state === 'failed') {
    if (!run.error) violations.note('run not ended', 'failed without a reason', run);
    return;
  }
  if (run.state === 'cancelled') return;
  if (run.state !== 'done' && run.state !== 'done_with_errors') {
    violations.note('run not ended', run.state, run);
    return;
  }
  const wrong = (why: string) => violations.note('run does not cover', why, run);
  if (run.openChunks > 0) wrong('chunks are open');
  if (Math.abs(run.scored + run.failed - run.expected) > erasable) wrong('scored and failed are not all');
  if (run.scope === 'all' && !run.isOfSome && (run.expected > users || run.expected < users - erasable))
    wrong(`there are ${users} users`);
  if ((run.state === 'done') !== (run.failed === 0)) wrong('failures and state differ');
  if (run.named !== Math.min(run.failed, NAMED_FAILURES)) wrong('failures without names');
  if (run.rows !== null) checkGeneration({ ...run, rows: run.rows }, { users, erasable }, wrong);
}

/** An erasure deletes its user's row; no other row may be missing or duplicated. */
function checkGeneration(
  { rows, distinctUsers, lasting, scored, carried, failed }: StoredRun & { readonly rows: number },
  { users, erasable }: Whom,
  wrong: (why: string) => void,
): void {
  if (distinctUsers !== rows || rows > scored + carried || rows < scored + carried - erasable)
    wrong('rows of its generation');
  if (failed === 0 && lasting !== users - erasable) wrong(`${users - erasable} users were never to be erased`);
}

const RUNS = `
  select r.id::text, r.scope, r.state, r.error, r.users_expected::int as expected,
    c.scored::int, c.failed::int, f.named::int, c.open::int as "openChunks",
    case when g.state = 'published' then p.rows::int end as rows,
    case when g.state = 'published' then p.users::int end as "distinctUsers",
    case when g.state = 'published' then p.lasting::int end as lasting,
    g.base_id is not null or r.budget is not null and g.state is distinct from 'published' as "isOfSome", coalesce(g.carried_users, 0)::int as carried
  from tandem.runs r
  left join tandem.generations g on g.run_id = r.id
  cross join lateral (
    select coalesce(sum(scored), 0) as scored, coalesce(sum(failed), 0) as failed,
      count(*) filter (where state in ('waiting', 'claimed')) as open
    from tandem.chunks where run_id = r.id) c
  cross join lateral (select count(*) as named from tandem.run_failures where run_id = r.id) f
  cross join lateral (
    select count(*) filter (where generation_id = g.id) as rows,
      count(distinct user_id) filter (where generation_id = g.id) as users,
      count(distinct user_id) filter (where user_id <> all ($1)) as lasting
    from tandem.predictions where generation_id in (g.id, g.base_id)) p
  order by r.created_at`;
