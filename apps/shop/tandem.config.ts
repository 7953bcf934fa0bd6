/** The shop's predictor: how likely each customer is to buy again within four weeks. */
import { defineConfig } from '@tandem/config/define-config';

export default defineConfig({
  predictors: {
    repurchase: {
      model: './model/repurchase.onnx',
      features: {
        // The model reads its inputs by position, in the order of model/features.py.
        sql: `
          select customer_id as user_id,
            recency_days, tenure_days, order_count, orders_30d, orders_90d, orders_180d, active_days,
            total_quantity, total_amount, amount_90d, avg_amount, max_amount
          from shop.customer_features`,
      },
      outputs: { score: 'float32' },
      // A catalogue costs $1 and an order brings $8 (rollouts/outcomes.ts), so a catalogue pays from a chance of one in
      // eight.
      decision: { output: 'score', threshold: 0.125 },
      freshness: {
        maxAge: '36h',
        liveTimeout: '250ms',
        onLiveFailure: 'stale',
        // The share of customers who buy within four weeks on an average day of 1997 (model/metrics.json, baseRate).
        default: { score: 0.08 },
        // A purchase event only says that the customer changed. It carries no values, because the view already has the
        // new ones.
        events: ['order.*'],
      },
      batch: { schedule: '0 2 * * *', chunkSize: 500 },
      // Answers of one customer in a hundred are kept with their inputs. `explanation keep` keeps an answer of any
      // customer.
      explanations: { share: 0.01, keepFor: '7d' },
    },
  },
});
