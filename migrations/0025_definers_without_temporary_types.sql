-- Postgres looks for the names of types in the session's temporary schema before the whole search_path, unless that names
-- pg_temp. A role with insert on tandem.events could create the domain pg_temp.text, whose check then ran as the owner of
-- the schema, in the triggers below. Every function with SECURITY DEFINER ends its search_path in pg_temp.
alter function tandem.accept_events() set search_path = pg_catalog, tandem, pg_temp;
alter function tandem.stamp_event() set search_path = pg_catalog, pg_temp;

-- The triggers call these, which have the owner's rights then. A session compiles a PL/pgSQL function once, at its first
-- call, and the application could make that call itself, with its own search_path.
alter function tandem.check_events(tandem.events[], jsonb) set search_path = pg_catalog, pg_temp;
alter function tandem.later_value(jsonb, jsonb, jsonb) set search_path = pg_catalog, pg_temp;
