-- API keys: what is stored of them, and a mark that tells every process of the API that something changed.

create table tandem.api_keys (
  -- The part of the key's text by which it is found; no secret.
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  name text not null check (char_length(name) between 1 and 100),
  kind text not null check (kind in ('live', 'test')),
  scopes text[] not null check (cardinality(scopes) > 0),
  -- HMAC-SHA256 of the key's whole text, under a pepper that the database does not hold.
  digest bytea not null check (octet_length(digest) = 32),
  -- The secret before a rotation, while it is still accepted.
  previous_digest bytea check (octet_length(previous_digest) = 32),
  previous_until timestamptz,
  -- Tells which pepper it was.
  pepper_id text not null,
  -- A second, for each process of the API; null: no limit.
  requests_per_second double precision check (requests_per_second > 0),
  live_per_second double precision check (live_per_second > 0),
  created_at timestamptz not null default clock_timestamp(),
  rotated_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz,
  check ((previous_digest is null) = (previous_until is null))
);

-- Not a number that is counted up: after a restore the same number would come again for other keys.
create table tandem.api_keys_version (
  one boolean primary key default true check (one),
  version uuid not null default gen_random_uuid()
);
insert into tandem.api_keys_version default values;

-- In the same transaction as the change itself, also where somebody makes it by hand.
create function tandem.mark_api_keys() returns trigger language plpgsql as $$
begin
  update tandem.api_keys_version set version = gen_random_uuid();
  return null;
end $$;

create trigger api_keys_marked after insert or update or delete or truncate on tandem.api_keys
  for each statement execute function tandem.mark_api_keys();
