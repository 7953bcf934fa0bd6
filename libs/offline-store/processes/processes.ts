/**
 * Live processes and their loaded model versions, in Postgres and on its clock. A process without a heartbeat for
 * `GONE_AFTER_MS` no longer counts, and the next heartbeat of any process removes it.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTandemError } from '@tandem/freshness/errors';
import { PROTOCOL } from '@tandem/freshness/protocol';
import type { ProcessRegister, WantedVersion } from '@tandem/prediction/processes/loaded-versions';
import type {
  LiveProcess,
  ProcessIdentity,
  ProcessKind,
  VersionReadiness,
} from '@tandem/prediction/processes/processes';
import type pg from 'pg';
import { type Db, query, transaction } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { findRoom, roomProblem } from './connection-room.ts';

/** Seven heartbeats may be lost before a live process counts as dead. */
export const GONE_AFTER_MS = 15_000;
/** The facts with which a process registers itself. */
type Registering = ProcessIdentity & { readonly connections?: number };

/**
 * Registers this process. Rejects with `config_invalid` if Postgres has no room for its connections, in addition to
 * those of the live processes and of other programs.
 * @param pool a pool with few other users, since an exhausted pool must not make the process look dead
 */
export async function openRegister(
  pool: pg.Pool,
  kind: ProcessKind,
  release: string,
  room: RoomOptions,
): Promise<ProcessRegister> {
  const { connections, waitMs = ROOM_AFTER_MS } = room;
  const self = { id: randomUUID(), kind, host: hostname(), pid: process.pid, release, connections };
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      await enter(pool, self, room);
      break;
    } catch (error) {
      // The schema is older, or the database does not answer. Other parts report this.
      if (!isTandemError(error, 'config_invalid')) break;
      if (performance.now() > deadline) throw error;
    }
    await sleep(ROOM_LOOK_MS);
  }
  return createRegister(pool, self);
}

export function createRegister(pool: pg.Pool, self: Registering): ProcessRegister {
  const { id, kind, host, pid, release, connections = null } = self;
  return {
    beat: (reports) =>
      query<WantedVersion>(pool, {
        name: 'tandem-beat',
        text: BEAT_SQL,
        values: [id, kind, host, pid, release, JSON.stringify(reports), GONE_AFTER_MS, connections],
      }),
    async leave() {
      await changeRows(pool, statements.deleteFrom('tandem.processes').where('id', '=', id));
    },
  };
}

interface RoomOptions {
  /** The number of direct connections that the process may open. */
  readonly connections: number;
  /**
   * The names of the pools that count (connection-room.ts). A pooler opens the connections of other pools, as many as
   * it is configured for.
   */
  readonly direct: RegExp;
  /** The milliseconds to wait for room, since a killed process still counts for a while when its successor starts. */
  readonly waitMs?: number;
}

const ROOM_AFTER_MS = 6_000;
const ROOM_LOOK_MS = 500;
/**
 * Enters the process into the register. Processes that start concurrently take turns, so that the last ones are
 * rejected.
 */
function enter(pool: pg.Pool, self: ProcessIdentity, { connections, direct }: RoomOptions): Promise<void> {
  return transaction(pool, async (db) => {
    await query(db, { text: `select pg_advisory_xact_lock(hashtext('tandem.processes'))` });
    await changeRows(
      db,
      statements.insertInto('tandem.processes').values({ ...self, connections, protocol: PROTOCOL }),
    );
    const problem = roomProblem(await findRoom(db, direct));
    if (problem) throw problem;
  });
}

/**
 * The heartbeat is one statement, so that it costs one round trip. If others have removed the process as dead, its row
 * is inserted again. The loaded versions are sent each time, so that they are restored, too.
 */
const BEAT_SQL = `
  with beat as (
    insert into tandem.processes (id, kind, host, pid, release, connections, protocol) values ($1, $2, $3, $4, $5, $8, ${PROTOCOL})
    on conflict (id) do update set seen_at = clock_timestamp()
  ), forgotten as (
    delete from tandem.processes where id in (
      select id from tandem.processes where id <> $1 and seen_at < clock_timestamp() - $7 * interval '1 ms'
      for update skip locked)
  ), told as (
    select v.id, r.state, r.error
    from jsonb_to_recordset($6::jsonb) as r("modelVersionId" text, state text, error text)
    join tandem.model_versions v on v.id = r."modelVersionId"
  ), unloaded as (
    delete from tandem.loaded_versions
    where process_id = $1 and not exists (select from told where told.id = model_version_id)
  ), loaded as (
    insert into tandem.loaded_versions as l (process_id, model_version_id, state, error)
    select $1::uuid, id, state, error from told
    on conflict (process_id, model_version_id) do update
      set state = excluded.state, error = excluded.error, at = clock_timestamp()
      where (l.state, l.error) is distinct from (excluded.state, excluded.error)
  )
  select w.id as "modelVersionId", bool_or(w.is_served) as "isServed", bool_or(w.is_tried) as "isTried"
  from (
    select a.model_version_id as id, a.name = 'stable' or a.end_bucket > a.first_bucket or exists (
      select from tandem.arm_overrides o join tandem.rollouts r on r.id = o.rollout_id
      where o.rollout_id = a.rollout_id and o.arm = a.name and r.state in ('running', 'held')) as is_served,
      a.name <> 'stable' as is_tried
    from tandem.arms a join tandem.predictors p on p.name = a.predictor and p.active
    -- A shadow's model must not affect serving models: it runs in a separate process.
    where not exists (select from tandem.rollouts r where r.id = a.rollout_id and r.kind = 'shadow')
    union all
    select model_version_id, false, false from tandem.awaited_versions where until > clock_timestamp()
  ) w
  group by w.id
  order by "isServed" desc, w.id`;

const ALIVE = `p.seen_at > clock_timestamp() - ${GONE_AFTER_MS} * interval '1 ms'`;

/**
 * Returns the state of these versions in every live process; a process that does not know a version yet is `loading`
 * it.
 */
export function readinessOf(db: Db, modelVersionIds: readonly string[]): Promise<readonly VersionReadiness[]> {
  return query<VersionReadiness>(db, {
    text: `select p.id as "processId", p.kind, p.host, p.pid, v.id as "modelVersionId", v.predictor,
        v.number as "modelNumber", coalesce(l.state, 'loading') as state, l.error
      from tandem.processes p
      join tandem.model_versions v on v.id = any($1)
      left join tandem.loaded_versions l on l.process_id = p.id and l.model_version_id = v.id
      where ${ALIVE}
      order by p.started_at, p.id, v.predictor, v.number`,
    values: [modelVersionIds],
  });
}

/**
 * Makes every process load these versions for this long, even if no arm has them, for a caller that waits to move a
 * label.
 */
export async function awaitVersions(db: Db, modelVersionIds: readonly string[], forMs: number): Promise<void> {
  await query(db, {
    text: `with over as (delete from tandem.awaited_versions where until < clock_timestamp() and model_version_id <> all($1))
      insert into tandem.awaited_versions (model_version_id, until)
      select id, clock_timestamp() + $2 * interval '1 ms' from unnest($1::text[]) id
      on conflict (model_version_id) do update set until = greatest(awaited_versions.until, excluded.until)`,
    values: [modelVersionIds, forMs],
  });
}

interface ProcessRow extends Omit<LiveProcess, 'versions'> {
  readonly versions: readonly (Omit<LiveProcess['versions'][number], 'at'> & { readonly at: string })[];
}

/** Returns the live processes, the longest-running first. */
export async function listProcesses(db: Db): Promise<readonly LiveProcess[]> {
  const rows = await query<ProcessRow>(db, {
    text: `select p.id, p.kind, p.host, p.pid, p.release, p.protocol, p.started_at as "startedAt", p.seen_at as "seenAt",
        coalesce((select json_agg(json_build_object('modelVersionId', v.id, 'predictor', v.predictor,
            'modelNumber', v.number, 'state', l.state, 'error', l.error, 'at', l.at) order by v.predictor, v.number)
          from tandem.loaded_versions l join tandem.model_versions v on v.id = l.model_version_id
          where l.process_id = p.id), '[]') as versions
      from tandem.processes p where ${ALIVE}
      order by p.started_at, p.id`,
  });
  return rows.map(({ versions, ...row }) => ({
    ...row,
    versions: versions.map((version) => ({ ...version, at: new Date(version.at) })),
  }));
}
