/** Settings that a role or a database may have by default, and that must not change any answer of the service. */
import pg from 'pg';

export interface HostileDefaults {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  /** The statements that a superuser runs in the database. */
  readonly sql?: string;
}

const planningOff = [
  'bitmapscan',
  'hashagg',
  'hashjoin',
  'indexonlyscan',
  'indexscan',
  'material',
  'mergejoin',
  'nestloop',
  'sort',
];

/** Groups of settings by their effect. The settings of a group do not depend on each other. */
export const HOSTILE_DEFAULTS: Readonly<Record<string, readonly HostileDefaults[]>> = {
  text: [
    { name: 'German dates', settings: { datestyle: 'German' } },
    { name: 'ISO 8601 intervals', settings: { intervalstyle: 'iso_8601' } },
    { name: 'a time zone of quarter hours', settings: { timezone: 'Asia/Kathmandu' } },
    { name: 'escaped bytes', settings: { bytea_output: 'escape' } },
    { name: 'floats of no digits', settings: { extra_float_digits: '-15' } },
    { name: 'backslashes in literals', settings: { standard_conforming_strings: 'off' } },
    { name: 'another client encoding', settings: { client_encoding: 'LATIN1' } },
    { name: 'arrays without nulls', settings: { array_nulls: 'off' } },
    { name: 'names in quotation marks', settings: { quote_all_identifiers: 'on' } },
    { name: 'nulls that equal', settings: { transform_null_equals: 'on' } },
    { name: 'a search path with tables of our names', settings: { search_path: 'hostile, public' } },
  ],
  transactions: [
    { name: 'serializable', settings: { default_transaction_isolation: 'serializable' } },
    { name: 'repeatable read', settings: { default_transaction_isolation: 'repeatable read' } },
    { name: 'read only', settings: { default_transaction_read_only: 'on' } },
    { name: 'deferrable', settings: { default_transaction_deferrable: 'on' } },
    { name: 'commits that are not waited for', settings: { synchronous_commit: 'off' } },
    { name: 'sessions that end with an error', settings: { exit_on_error: 'on' } },
  ],
  limits: [
    { name: 'statements of 500 ms', settings: { statement_timeout: '500ms' } },
    { name: 'locks of 1 ms', settings: { lock_timeout: '1ms' } },
    { name: 'transactions idle for 1 ms', settings: { idle_in_transaction_session_timeout: '1ms' } },
    { name: 'sessions idle for 300 ms', settings: { idle_session_timeout: '300ms' } },
    // Postgres 17 and newer.
    { name: 'transactions of 500 ms', settings: { transaction_timeout: '500ms' } },
  ],
  plans: [
    {
      name: 'every plan compiled',
      settings: { jit: 'on', jit_above_cost: '0', jit_inline_above_cost: '0', jit_optimize_above_cost: '0' },
    },
    { name: 'a plan for each execution', settings: { plan_cache_mode: 'force_custom_plan' } },
    {
      name: 'no method of planning',
      settings: Object.fromEntries(planningOff.map((method) => [`enable_${method}`, 'off'])),
    },
  ],
};

/**
 * Statements that revoke the functions that the history uses, as some providers do. Whether the functions can be
 * executed depends on the owner of `tandem.current_history()`: here a predefined role, which cannot execute functions
 * that are revoked from public. Needs the schema.
 */
export const CLOSED_HISTORY: HostileDefaults = {
  name: 'closed functions of the history',
  settings: {},
  sql: `grant usage on schema tandem to pg_monitor; grant select on tandem.history_rotation to pg_monitor;
    alter function tandem.current_history() owner to pg_monitor;
    revoke execute on function pg_control_system() from public;
    revoke execute on function pg_current_wal_insert_lsn() from public;
    revoke execute on function pg_walfile_name(pg_lsn) from public`,
};

/** Returns the combined settings of several groups. */
export function together(name: string, all: readonly HostileDefaults[]): HostileDefaults {
  return { name, settings: Object.assign({}, ...all.map(({ settings }) => settings)) };
}

/**
 * Makes the settings the database's defaults for later sessions. Settings that this version of Postgres does not know
 * are omitted.
 */
export async function setDefaults(databaseUrl: string, { settings, sql }: HostileDefaults): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const database = pg.escapeIdentifier(new URL(databaseUrl).pathname.slice(1));
    for (const [name, value] of Object.entries(settings)) {
      const { rows } = await client.query('select current_setting($1, true) is not null as known', [name]);
      if (!rows[0]?.known) continue;
      const values = name === 'search_path' ? value : pg.escapeLiteral(value);
      await client.query(`alter database ${database} set ${name} = ${values}`);
    }
    await client.query(`create schema if not exists hostile;
      create table if not exists hostile.events (n int); create table if not exists hostile.settings (n int)`);
    if (sql) await client.query(sql);
  } finally {
    await client.end();
  }
}
