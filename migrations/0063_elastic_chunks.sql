-- Chunks are sized by time, and slow ones are split. Columns without a default rewrite no table, but wait for those who read
-- it: for less time than reads do, and tried again. A release before this one leaves them null, and works on.
set local lock_timeout = '100ms';

alter table tandem.chunks
  -- The chunk whose worker handed these users back; null: planned. A run that begins again gives them back to that chunk.
  add column split_from int,
  -- By which a run knows how fast a worker is. Null where a release before this one claimed or committed the chunk.
  add column worker uuid,
  add column claimed_at timestamptz,
  add column committed_at timestamptz;

-- What a chunk was sized to take, in ms.
alter table tandem.runs add column chunk_ms int;
