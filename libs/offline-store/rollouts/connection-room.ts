/** Whether Postgres carries the connections that the live processes may open, beside those of other programs. */
import { TandemError } from '@tandem/freshness/errors';
import { type Db, query } from '../sql/database.ts';

/** A process that was killed counts for so long. */
const COUNTS_FOR = `interval '5 s'`;
/** What a process of a release that does not say how many it may open mostly has open. */
const UNTOLD = 10;

interface ConnectionRoom {
  /** Connections that Postgres leaves to those without special rights. */
  readonly most: number;
  /** Open now, of other programs, and of a pooler. */
  readonly others: number;
  /** Live processes, and what they may open. */
  readonly processes: number;
  readonly fleet: number;
}

export async function findRoom(db: Db, throughPooler: boolean): Promise<ConnectionRoom> {
  const [room] = await query<ConnectionRoom>(db, {
    text: `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) as most,
      (select count(*) from pg_stat_activity where datid is not null and usesysid is not null
        and not (datname = current_database() and application_name ~ $1)) as others, p.processes, p.fleet
      from (select count(*) as processes, coalesce(sum(coalesce(connections, ${UNTOLD})), 0) as fleet
        from tandem.processes where seen_at > clock_timestamp() - ${COUNTS_FOR}) p`,
    values: [throughPooler ? `^tandem-(${DIRECT_POOLS.join('|')})$` : '^tandem-'],
  });
  if (!room) throw new Error('Postgres answered no row');
  return room;
}

/** Pools of API and worker that no pooler stands before, by what pg_stat_activity shows after `tandem-`. */
const DIRECT_POOLS = ['api-authority', 'api-vital', 'worker-vital'];

export function roomProblem({ most, others, processes, fleet }: ConnectionRoom): TandemError | null {
  if (fleet + others <= most) return null;
  const message = `Postgres has no room for this fleet: ${processes} live processes may open ${fleet} connections, other programs hold ${others}, and max_connections leaves ${most}.`;
  const remedy = `lower DATABASE_CONNECTIONS of API and worker, raise max_connections, or put a pooler between: docs/operations.md, "Connections to Postgres"`;
  return new TandemError('config_invalid', message, { field: 'DATABASE_CONNECTIONS', remedy });
}
