-- The order in which the generations of a predictor were published and left by an arm. A rollout of a model version takes the
-- generation that was used last: the times of two uses say nothing of their order once the clock of Postgres was set back, or a
-- standby with a slower clock was promoted.
alter table tandem.generations add column last_use bigint not null default 0;

update tandem.generations g set last_use = u.no
from (
  select id, row_number() over (partition by predictor order by coalesce(left_at, published_at), number) as no
  from tandem.generations where published_at is not null
) u
where g.id = u.id;
