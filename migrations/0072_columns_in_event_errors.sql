-- Errors of events name the column, such as user_id, beside the field of the API, such as subject. They shorten a source or
-- id that is longer than any valid one.

create or replace function tandem.refuse_event(code text, "position" bigint, source text, id text, field text, message text, hint text)
returns void language plpgsql as $$
declare
  -- The field data.orders is part of the column data.
  found_column text := case field when 'subject' then 'user_id' else split_part(field, '.', 1) end;
begin
  raise exception using errcode = code, message = message, column = found_column, hint = hint,
    detail = jsonb_build_object('index', "position" - 1, 'field', field, 'column', found_column,
      'source', case when length(source) > 256 then left(source, 64) || '…' else source end,
      'id', case when length(id) > 256 then left(id, 64) || '…' else id end)::text;
end $$;
