/** The rights on a managed Postgres: a role that owns its database and is not a superuser. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

const ROLE = 'tenant';
/**
 * Revokes the functions of the log and the control file that this version of Postgres has. Providers revoke some or
 * all.
 */
const REVOKE = `do $$ declare closed regprocedure; begin
  for closed in select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace
    and proname ~ '^pg_(control|current_wal|walfile|last_wal|wal_lsn|switch_wal|backup)'
  loop execute 'revoke execute on function ' || closed || ' from public'; end loop;
end $$`;

/**
 * Creates a role with the rights on a managed Postgres, and makes it the owner of the database in this superuser's URL.
 * Returns the role's URL.
 */
export async function asManaged(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const [own, password] = [new URL(url), randomBytes(12).toString('hex')];
  try {
    await client.query(`create role ${ROLE} login password '${password}' nosuperuser nocreaterole createdb`);
    await client.query(`alter database ${pg.escapeIdentifier(own.pathname.slice(1))} owner to ${ROLE}`);
    await client.query(REVOKE);
  } finally {
    await client.end();
  }
  return Object.assign(own, { username: ROLE, password }).href;
}
