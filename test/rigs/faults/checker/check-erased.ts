/**
 * Checks the stores once the load has ended and workers have repeated every erasure's deletes: no prediction labelled
 * up to a tombstone, and no records of users who are still erased.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { EVENT_LOG, type Queryable } from './check-stores.ts';
import type { Checker } from './checker.ts';

export interface ErasingStores {
  readonly db: Queryable;
  readonly redis: Pick<Redis, 'keys' | 'hexists' | 'get'>;
  /** The prefix of every key. */
  readonly prefix?: string;
  /** Returns whether Redis counts the erasures of that history. By default one server is asked. */
  readonly isCounted?: (history: string) => Promise<boolean>;
}

const POLL_MS = 200;
/** Longer than on an idle machine, where a worker looks every few seconds. */
const LOOKED_AT_WITHIN_MS = 60_000;

/**
 * Waits until Redis counts the erasures of the current history. Then makes all deletes due, waits for them, and notes
 * leftovers as violations. A worker that restores the count in Redis also makes ended deletes due again.
 */
export async function checkErased(stores: ErasingStores, checker: Checker, withinMs = LOOKED_AT_WITHIN_MS) {
  await checkTombstones(stores.db, checker);
  const deadline = performance.now() + withinMs;
  const isInTime = async (condition: () => Promise<boolean>, otherwise: string) => {
    while (!(await condition())) {
      if (performance.now() > deadline) {
        checker.violations.note('erased user stored', otherwise, {});
        return false;
      }
      await pause(POLL_MS);
    }
    return true;
  };
  if (!(await isInTime(() => isCountedInRedis(stores), 'no worker restores the count of erasures in Redis'))) return;
  await stores.db.query('update tandem.erasures set sweep_at = clock_timestamp() where sweep_at is not null');
  const areSwept = async () => (await countDue(stores.db)) === 0;
  if (!(await isInTime(areSwept, 'no worker repeats the deletes'))) return;
  await checkRows(stores.db, checker);
  await checkRedis(stores, checker);
}

async function isCountedInRedis({ db, redis, prefix = 'tandem', isCounted }: ErasingStores): Promise<boolean> {
  const { rows } = await db.query<{ history: string }>('select tandem.current_history() as history');
  const history = rows[0]?.history ?? '';
  if (isCounted) return isCounted(history);
  return (await redis.get(`${prefix}:{erasures}`))?.startsWith(`${history}.`) ?? false;
}

async function countDue(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ due: number }>(
    'select count(*)::int as due from tandem.erasures where sweep_at <= clock_timestamp()',
  );
  return rows[0]?.due ?? 0;
}

interface StoredTombstone {
  readonly userId: string;
  readonly version: number;
  readonly deletedVersion: number;
}

/** Checks the newest acknowledged erasure of each user; it applies if no readmission was requested since. */
async function checkTombstones(db: Queryable, { known, violations }: Checker): Promise<void> {
  const { rows } = await db.query<StoredTombstone>({
    text: `select user_id as "userId", version::int, deleted_version::int as "deletedVersion"
      from tandem.user_contexts where deleted_version > 0`,
  });
  const stored = new Map(rows.map((row) => [known.userOf(row.userId), row]));
  for (const user of known.erasures.users()) {
    const [told, inForce] = [
      known.erasures.deletedVersion(user, LATER),
      known.erasures.erasedThroughout(user, LATER, LATER),
    ];
    const row = stored.get(user);
    const wrong = (why: string) => violations.note('event versions', why, { row, told, inForce });
    if ((row?.deletedVersion ?? 0) < told) wrong('an acknowledged tombstone is lost');
    else if (inForce > 0 && (row?.version !== inForce || row.deletedVersion !== inForce))
      wrong('the user is not erased');
  }
}

/** A time after all operations of the history. */
const LATER = Number.MAX_VALUE;

/** Checks Postgres' rows. Generations that were never published serve no reads; they are dropped as a whole. */
async function checkRows(db: Queryable, { violations }: Checker): Promise<void> {
  const { rows } = await db.query({
    text: `select p.user_id as "userId", 'predictions' as "table", p.context_version::int as label, t.deleted_version::int as tombstone
      from tandem.erasures t join tandem.predictions p on p.user_id = t.user_id and p.context_version <= t.deleted_version
      join tandem.generations g on g.id = p.generation_id and g.state = 'published'
      union all select o.user_id, 'overlay', o.context_version::int, t.deleted_version::int
      from tandem.erasures t join tandem.overlay o on o.user_id = t.user_id and o.context_version <= t.deleted_version
      union all select c.user_id, 'user_contexts', c.version::int, c.deleted_version::int
      from tandem.user_contexts c where c.version = c.deleted_version and c.deleted_version > 0 and c.features <> '{}'
      union all select e.user_id, 'events', null, c.deleted_version::int
      from tandem.user_contexts c join ${EVENT_LOG} on e.user_id collate "C" = c.user_id
      where c.version = c.deleted_version and c.deleted_version > 0 and e.data is not null
      union all select d.user_id, 'read_demand', d.context_version::int, c.deleted_version::int
      from tandem.user_contexts c join tandem.read_demand d on d.user_id = c.user_id
      where c.deleted_version > 0 and d.context_version <= c.deleted_version
      limit 100`,
  });
  for (const row of rows) violations.note('erased user stored', 'in Postgres', row);
}

/** Checks Redis' keys. Ids of the load's users are short, so that a field is the id itself. */
async function checkRedis({ db, redis, prefix = 'tandem' }: ErasingStores, { violations }: Checker): Promise<void> {
  const users = await db.query<{ userId: string }>({
    text: `select user_id as "userId" from tandem.user_contexts where version = deleted_version and deleted_version > 0`,
  });
  const listed = await db.query<{ id: string }>({
    text: `select id::text from tandem.generations where state = 'published'`,
  });
  const buckets = (await Promise.all(listed.rows.map(({ id }) => redis.keys(`${prefix}:g:${id}:*`)))).flat();
  const overlay = await redis.keys(`${prefix}:o:*`);
  for (const { userId } of users.rows) {
    const found = await Promise.all(buckets.map((key) => redis.hexists(key, userId)));
    const left = [...buckets.filter((_, i) => found[i] === 1), ...overlay.filter((key) => key.includes(`}${userId}:`))];
    if (left.length > 0) violations.note('erased user stored', 'in Redis', { userId, left });
  }
}
