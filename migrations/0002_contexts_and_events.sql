-- A user's context and the events that raise its version. An application may insert into tandem.events in its own
-- transaction (also from its own trigger): a statement-level trigger (0004) raises the version there and then, so the
-- COMMIT is the acknowledgement. The HTTP route inserts the same rows: one rule for both.

create table tandem.user_contexts (
  user_id text collate "C" primary key check (octet_length(user_id) between 1 and 128),
  version bigint not null default 0,
  -- Predictor name -> the last version that concerns it.
  touched jsonb not null default '{}',
  -- The version at which the user was erased; equal to version while erased.
  deleted_version bigint not null default 0,
  -- Feature name -> {"value", "accepted": ms since 1970 on this clock, "time": ms, "source", "id"}.
  features jsonb not null default '{}',
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 80);
create index user_contexts_erased on tandem.user_contexts (user_id) where deleted_version > 0;

-- What was sent, in order of arrival. Order and time of arrival are set by the trigger below, whatever an application
-- says of them: both decide what an event does.
create table tandem.events (
  seq bigint primary key,
  source text not null default 'sql',
  id text not null default gen_random_uuid()::text,
  type text not null default 'user.changed',
  user_id text not null,
  time timestamptz,
  data jsonb,
  accepted_at timestamptz not null default clock_timestamp()
);
create sequence tandem.events_seq owned by tandem.events.seq;
create index events_accepted_at on tandem.events using brin (accepted_at);

-- Which events were applied, and the version each produced; the memory that makes a repeated event harmless.
create table tandem.event_ids (
  source text collate "C" not null,
  id text collate "C" not null,
  payload_hash bytea not null,
  user_id text collate "C" not null,
  context_version bigint not null,
  accepted_at timestamptz not null default clock_timestamp(),
  primary key (source, id)
);
create index event_ids_accepted_at on tandem.event_ids using brin (accepted_at);

-- What Redis has not been told yet.
create table tandem.outbox (
  seq bigint generated always as identity primary key,
  user_id text collate "C" not null,
  context_version bigint not null,
  -- Names in the events' data that no predictor uses, once for each event. They are counted when the row is relayed: a
  -- counter raised by the event itself would make all senders of one name wait for each other.
  unused_names text[]
);

-- Names in events' data that no predictor uses: ignored, and counted here.
create table tandem.unused_event_names (
  name text primary key,
  events bigint not null,
  last_seen timestamptz not null default clock_timestamp()
);

-- One row, changed whenever predictors or what they say of events change. A transaction that sent events under a snapshot
-- from before such a change would apply the old rules: it fails here instead, with SQLSTATE 40001.
create table tandem.event_rules (
  one boolean primary key default true check (one),
  changed_at timestamptz not null default clock_timestamp()
);
insert into tandem.event_rules default values;

create function tandem.stamp_event() returns trigger language plpgsql security definer as $$
begin
  new.seq := pg_catalog.nextval('tandem.events_seq');
  new.accepted_at := pg_catalog.clock_timestamp();
  return new;
end $$;
create trigger stamp_event before insert on tandem.events for each row execute function tandem.stamp_event();
