/** What `tandem value` takes of the simulated feed: its model, and what fills it. No service serves it. */
import { defineConfig } from '@tandem/config/define-config';

export default defineConfig({
  predictors: {
    offer: {
      model: './model/offer.onnx',
      // Used in place of a table of the feed: the histories of feed-history.ts name these features in this order.
      features: {
        sql: `select n::text as user_id, 0::float8 as affinity, 0 as opened_10m, 0 as passed_10m
          from generate_series(1, 1000) n`,
      },
      outputs: { score: 'float32' },
    },
  },
});
