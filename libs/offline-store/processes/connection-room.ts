/**
 * Checks whether Postgres has room for the connections of the live processes, in addition to those of other programs.
 */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { type Db, queryOne } from '../sql/database.ts';
import { type DatabasePaths, leadsThroughPooler } from '../sql/paths.ts';

/** How long a killed process still counts. */
const COUNTS_FOR = `interval '5 s'`;
/** The assumed number of connections of a process whose release does not report its limit. */
const UNTOLD = 10;

/**
 * Returns which pools of the service bypass a pooler, as a pattern of names in pg_stat_activity; all pools if there is
 * no pooler. Pools whose names end in `features` use a separate address.
 */
export function directPools(paths: DatabasePaths): RegExp {
  const { url, featuresUrl = url } = paths;
  const features = leadsThroughPooler(featuresUrl, paths) ? [] : ['features'];
  if (leadsThroughPooler(url, paths))
    return new RegExp(`^tandem-.*-(${['authority', 'vital', ...features].join('|')})$`);
  return features.length > 0 ? /^tandem-/ : /^tandem-(?!.*-features$)/;
}

/**
 * Returns the number of direct connections to Postgres.
 * @param besides direct connections outside the pools
 */
export function directRoom(paths: DatabasePaths, pools: readonly pg.Pool[], besides = 0) {
  const direct = directPools(paths);
  const most = ({ options }: pg.Pool) => (direct.test(options.application_name ?? '') ? options.max : 0);
  return { connections: pools.reduce((total, pool) => total + most(pool), besides), direct };
}

export interface ConnectionRoom {
  /** The connections that Postgres allows to users without special rights. */
  readonly most: number;
  /** The open connections of other programs and of a pooler. */
  readonly others: number;
  /** The number of live processes, and the connections that they may open. */
  readonly processes: number;
  readonly fleet: number;
  /** The connections that live processes other than APIs may open. */
  readonly besideApis: number;
}

/**
 * Reads how many connections are allowed, open and expected.
 * @param direct the result of `directPools`
 */
export function findRoom(db: Db, direct: RegExp): Promise<ConnectionRoom> {
  return queryOne<ConnectionRoom>(db, {
    text: `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) as most,
      (select count(*) from pg_stat_activity where datid is not null and usesysid is not null
        and not (datname = current_database() and application_name ~ $1)) as others, p.*
      from (select count(*) as processes, coalesce(sum(coalesce(connections, ${UNTOLD})), 0) as fleet,
          coalesce(sum(coalesce(connections, ${UNTOLD})) filter (where kind <> 'api'), 0) as "besideApis"
        from tandem.processes where seen_at > clock_timestamp() - ${COUNTS_FOR}) p`,
    values: [direct.source],
  });
}

export function roomProblem({ most, others, processes, fleet }: ConnectionRoom): TandemError | null {
  if (fleet + others <= most) return null;
  const message = `Postgres has no room for this fleet: ${processes} live ${processes === 1 ? 'process' : 'processes'} may open ${fleet} connections, and other programs hold ${others}, but max_connections allows only ${most}.`;
  const remedy = `lower DATABASE_CONNECTIONS of API and worker, raise max_connections, or put a pooler between: docs/postgres-connections.md, "Connections to Postgres"`;
  return new TandemError('config_invalid', message, { field: 'DATABASE_CONNECTIONS', remedy });
}
