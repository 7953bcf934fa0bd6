/** Whether Postgres carries the connections that the live processes may open, beside those of other programs. */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { type Db, query } from '../sql/database.ts';
import { type DatabasePaths, leadsThroughPooler } from '../sql/paths.ts';

/** A process that was killed counts for so long. */
const COUNTS_FOR = `interval '5 s'`;
/** Assumed connections of a process whose release does not report its limit. */
const UNTOLD = 10;

/**
 * Which pools of the service go past a pooler, by their names in pg_stat_activity: all of them where there is none. The
 * statements of pools whose names end in `features` have a separate address.
 */
export function directPools(paths: DatabasePaths): RegExp {
  const { url, featuresUrl = url } = paths;
  const features = leadsThroughPooler(featuresUrl, paths) ? [] : ['features'];
  if (leadsThroughPooler(url, paths))
    return new RegExp(`^tandem-.*-(${['authority', 'vital', ...features].join('|')})$`);
  return features.length > 0 ? /^tandem-/ : /^tandem-(?!.*-features$)/;
}

/**
 * Returns the connections that Postgres itself needs room for. @param besides direct connections that are in no pool
 */
export function directRoom(paths: DatabasePaths, pools: readonly pg.Pool[], besides = 0) {
  const direct = directPools(paths);
  const most = ({ options }: pg.Pool) => (direct.test(options.application_name ?? '') ? options.max : 0);
  return { connections: pools.reduce((total, pool) => total + most(pool), besides), direct };
}

export interface ConnectionRoom {
  /** Connections that Postgres leaves to those without special rights. */
  readonly most: number;
  /** Open now, of other programs, and of a pooler. */
  readonly others: number;
  /** Live processes, and what they may open. */
  readonly processes: number;
  readonly fleet: number;
  /** Connections that live processes other than APIs may open. */
  readonly besideApis: number;
}

/** @param direct as `directPools` returns it */
export async function findRoom(db: Db, direct: RegExp): Promise<ConnectionRoom> {
  const [room] = await query<ConnectionRoom>(db, {
    text: `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) as most,
      (select count(*) from pg_stat_activity where datid is not null and usesysid is not null
        and not (datname = current_database() and application_name ~ $1)) as others, p.*
      from (select count(*) as processes, coalesce(sum(coalesce(connections, ${UNTOLD})), 0) as fleet,
          coalesce(sum(coalesce(connections, ${UNTOLD})) filter (where kind <> 'api'), 0) as "besideApis"
        from tandem.processes where seen_at > clock_timestamp() - ${COUNTS_FOR}) p`,
    values: [direct.source],
  });
  if (!room) throw new Error('Postgres answered no row');
  return room;
}

export function roomProblem({ most, others, processes, fleet }: ConnectionRoom): TandemError | null {
  if (fleet + others <= most) return null;
  const message = `Postgres has no room for this fleet: ${processes} live ${processes === 1 ? 'process' : 'processes'} may open ${fleet} connections, other programs hold ${others}, and max_connections leaves ${most}.`;
  const remedy = `lower DATABASE_CONNECTIONS of API and worker, raise max_connections, or put a pooler between: docs/postgres-connections.md, "Connections to Postgres"`;
  return new TandemError('config_invalid', message, { field: 'DATABASE_CONNECTIONS', remedy });
}
