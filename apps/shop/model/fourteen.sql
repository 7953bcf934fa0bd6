-- Features of fourteen.onnx: the twelve of the view in its order, then two that this query computes from them. A model
-- version includes its query, so these columns are read only for this model.
select *, recency_days / greatest(days_between_orders, 1) as lateness
from (
  select customer_id as user_id,
    recency_days, tenure_days, order_count, orders_30d, orders_90d, orders_180d, active_days,
    total_quantity, total_amount, amount_90d, avg_amount, max_amount,
    -- For a customer who bought on one day only, days between purchases are unknown: 0.
    (tenure_days - recency_days)::double precision / greatest(active_days - 1, 1) as days_between_orders
  from shop.customer_features
) f
