-- The outbox as a ring of tables. Rows of one table were deleted at its head and added at its end: while a transaction of any
-- kind was open, such as the plan of a long run, no vacuum could remove the deleted ones, and each page of the relay read
-- them all again (37,000 rows/s at the start, 6,700 after 275,000 rows). A slot's table is emptied by TRUNCATE once it has no
-- rows left, which does not wait for other transactions' snapshots (libs/offline-store/events/outbox.ts).

-- Ten seconds of each minute. No row is added to a slot for 50 s, in which it can be relayed and emptied.
create function tandem.outbox_slot(moment timestamptz) returns int language sql stable parallel safe
  return extract(epoch from moment)::bigint / 10 % 6;

-- Its entries are copied below while events wait: some 50,000 take a tenth of a second. More are relayed first.
do $$ begin
  if (select count(*) from (select from tandem.outbox limit 50001) e) > 50000 then
    raise exception 'the outbox has more than 50,000 entries' using errcode = '55P03',
      hint = 'See that workers run and that Redis answers: they relay the entries. Then migrate again.';
  end if;
end $$;

-- Events and transactions of applications wait behind this lock: briefly, or the file is tried again.
set local lock_timeout = '100ms';
lock table tandem.outbox in access exclusive mode;
alter table tandem.outbox rename to outbox_before;

-- Of the workers of the release before, who remove rows by it.
create sequence tandem.outbox_seq;

-- What Redis has not been told yet.
create table tandem.outbox (
  slot int not null default tandem.outbox_slot(clock_timestamp()),
  seq bigint not null default nextval('tandem.outbox_seq'),
  user_id text collate "C" not null,
  context_version bigint not null,
  -- Names in the events' data that no predictor uses, once for each event. They are counted when the row is relayed: a
  -- counter raised by the event itself would make all senders of one name wait for each other.
  unused_names text[],
  at timestamptz not null default clock_timestamp()
) partition by list (slot);

do $$
declare
  slot int;
  holder record;
begin
  for slot in 0 .. 5 loop
    execute format('create table tandem.outbox_%s partition of tandem.outbox for values in (%s)', slot, slot);
    -- Without a key a publication of all tables could not take deletes.
    execute format('alter table tandem.outbox_%s replica identity full', slot);
  end loop;
  -- The grants of the table that it replaces.
  for holder in
    select a.privilege_type as privilege, case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as name
    from pg_class c, aclexplode(c.relacl) a where c.oid = 'tandem.outbox_before'::regclass
  loop
    execute format('grant %s on tandem.outbox to %s', holder.privilege, holder.name);
  end loop;
end $$;
grant usage on sequence tandem.outbox_seq to public;

insert into tandem.outbox (user_id, context_version, unused_names)
  select user_id, context_version, unused_names from tandem.outbox_before order by seq;
drop table tandem.outbox_before;

-- Work that one worker does for all, now and then (libs/offline-store/sql/turns.ts).
create table tandem.turns (
  name text primary key,
  -- Of the next turn; while a worker does the work, the end of its lease.
  due_at timestamptz not null
);

-- Objects that the bucket of model files may hold: noted before one is put, until it is removed. Each put makes an object of
-- its own name, so that the removal of one never takes the file of an upload under way.
create table tandem.artifact_objects (
  location text primary key,
  put_at timestamptz not null default clock_timestamp()
);
insert into tandem.artifact_objects (location, put_at) select location, created_at from tandem.artifacts where location is not null;
