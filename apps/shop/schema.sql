-- The tables of the shop, as any application might have them. Tandem reads the view and writes nothing here.
-- Running this file again changes nothing.

create schema if not exists shop;

create table if not exists shop.transactions (
  id bigint generated always as identity primary key,
  customer_id bigint not null,
  day date not null,
  quantity int not null check (quantity > 0),
  amount numeric(10, 2) not null check (amount >= 0),
  created_at timestamptz not null default now()
);

create index if not exists transactions_customer_day on shop.transactions (customer_id, day);

-- The current date of the shop, in one row. Its history is of 1997 and 1998, and a replay of the history advances the date.
create table if not exists shop.clock (
  id smallint primary key default 1 check (id = 1),
  today date not null
);

-- One row for each customer, as of the shop's current day. Transactions of later days do not count yet. "In the last W days"
-- means today - day < W. Columns after customer_id are the model's inputs, in its order (model/features.py computes
-- the same ones for training). They are int or double precision: numeric would reach JavaScript as text.
--
-- A predicate on customer_id must reach the index below the aggregation, or one customer's read would cost as much as
-- everyone's. It does, since customer_id is a grouping column and keeps its type. EXPLAIN ANALYZE on PostgreSQL 18 with
-- the 2,357 customers as of 1997-12-31: customer_id = $1 takes 0.05 ms, = any($1::bigint[]) of 100 ids 0.5 ms and a
-- range of 500 ids 1.1 ms, each with that predicate in the Index Cond of transactions_customer_day; everyone takes
-- 5 ms. A plain join on customer_id is not pushed down. customer-features.integration.test.ts asks the planner again.
-- c.id = 1 tells the planner that there is one clock row even before any statistics exist.
create or replace view shop.customer_features as
select
  t.customer_id,
  c.today - max(t.day) as recency_days,
  c.today - min(t.day) as tenure_days,
  count(*)::int as order_count,
  (count(*) filter (where t.day > c.today - 30))::int as orders_30d,
  (count(*) filter (where t.day > c.today - 90))::int as orders_90d,
  (count(*) filter (where t.day > c.today - 180))::int as orders_180d,
  count(distinct t.day)::int as active_days,
  sum(t.quantity)::int as total_quantity,
  sum(t.amount)::double precision as total_amount,
  coalesce(sum(t.amount) filter (where t.day > c.today - 90), 0)::double precision as amount_90d,
  sum(t.amount)::double precision / count(*) as avg_amount,
  max(t.amount)::double precision as max_amount
from shop.clock c
join shop.transactions t on t.day <= c.today
where c.id = 1
group by t.customer_id, c.today;
