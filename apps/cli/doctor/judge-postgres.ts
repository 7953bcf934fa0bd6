/** What Postgres must be for acknowledged events to survive: judged from its own settings. */

import { type Finding, failed, ok, warning } from '../output/finding.ts';
import { duration } from '../output/quantities.ts';

export interface PostgresFacts {
  /** `18.4` and 180004. */
  readonly version: string;
  readonly versionNumber: number;
  readonly database: string;
  readonly user: string;
  readonly inRecovery: boolean;
  readonly fsync: string;
  /** Of sessions that set nothing; null: not readable by this user. */
  readonly synchronousCommit: string | null;
  readonly fullPageWrites: string;
  readonly walLevel: string;
  readonly encoding: string;
  readonly mayCreate: boolean;
  /** Who may not execute it cannot tell one past of the database from another. */
  readonly mayReadControl: boolean;
  readonly maxConnections: number;
  readonly connections: number;
  /** ms since 1970 on its clock. */
  readonly now: number;
}

/** `client_connection_check_interval`, which our connections set, came with 14. */
const OLDEST = 140_000;
const CONNECTIONS_NEEDED = 30;
const SKEW_WORTH_TELLING_MS = 1_000;

/** @param here the middle of the question, ms since 1970 on our clock */
export function judgePostgres(facts: PostgresFacts, here: number): Finding[] {
  return [
    judgeVersion(facts),
    judgeRights(facts),
    judgeDurability(facts),
    judgeConnections(facts),
    judgeClock(facts.now - here),
  ];
}

function judgeVersion({ version, versionNumber, database, inRecovery, encoding }: PostgresFacts): Finding {
  if (versionNumber < OLDEST) {
    return failed('postgres', `${version} is too old`, 'use Postgres 14 or newer');
  }
  if (inRecovery) {
    const remedy = 'let DATABASE_URL name the primary: a standby cannot certify that a prediction is fresh';
    return failed('postgres', `${version}, and it is a standby`, remedy);
  }
  if (encoding !== 'UTF8') {
    return failed('postgres', `database ${database} is encoded in ${encoding}`, "create it with encoding 'UTF8'");
  }
  return ok('postgres', `${version}, primary, database ${database}`);
}

function judgeRights({ user, database, mayCreate, mayReadControl }: PostgresFacts): Finding {
  if (!mayReadControl) {
    const remedy = `grant execute on function pg_control_system() to ${user}`;
    return failed('rights', `${user} may not read the system identifier, which names the database's history`, remedy);
  }
  if (mayCreate) return ok('rights', `${user} may migrate`);
  const remedy = `grant create on database ${database} to ${user}; or migrate as another user`;
  return warning('rights', `${user} may not create the schema tandem`, remedy);
}

function judgeDurability({ fsync, synchronousCommit, fullPageWrites, walLevel }: PostgresFacts): Finding {
  if (fsync !== 'on') {
    return failed(
      'durability',
      'fsync is off: a crash loses acknowledged events',
      "alter system set fsync = 'on', then reload",
    );
  }
  if (fullPageWrites !== 'on') {
    const remedy = "alter system set full_page_writes = 'on', then reload";
    return warning('durability', 'full_page_writes is off: a crash may damage tables', remedy);
  }
  // Our own transactions set it; those that insert events in SQL take the server's.
  if (synchronousCommit === 'off') {
    const remedy = "alter system set synchronous_commit = 'on', or set it in the transactions that insert events";
    return warning('durability', 'synchronous_commit is off: events inserted in SQL may be lost in a crash', remedy);
  }
  return ok(
    'durability',
    `fsync on, synchronous_commit ${synchronousCommit ?? 'not readable by this user'}, wal_level ${walLevel}`,
  );
}

function judgeConnections({ maxConnections, connections }: PostgresFacts): Finding {
  const free = maxConnections - connections;
  if (free >= CONNECTIONS_NEEDED) return ok('connections', `${connections} of ${maxConnections} in use`);
  const remedy = 'raise max_connections, or put a pooler in session mode between';
  return warning('connections', `only ${free} of ${maxConnections} are free`, remedy);
}

/** Nothing decides by our clock; but times in logs and in `--time` are read beside Postgres'. */
function judgeClock(skewMs: number): Finding {
  if (Math.abs(skewMs) < SKEW_WORTH_TELLING_MS)
    return ok('clock', `within ${duration(SKEW_WORTH_TELLING_MS)} of Postgres'`);
  const text = `this machine's clock is ${duration(Math.abs(skewMs))} ${skewMs > 0 ? 'behind' : 'ahead of'} Postgres'`;
  return warning('clock', text, 'synchronise both with NTP; freshness does not depend on it, the reading of logs does');
}
