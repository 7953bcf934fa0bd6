/** The config of the simulated feed for `tandem value`: its model and the features. No service serves it. */
import { defineConfig } from '@tandem/config/define-config';

export default defineConfig({
  predictors: {
    offer: {
      model: './model/offer.onnx',
      // Replaces a table of the feed: the histories of feed-history.ts have these features in this order.
      features: {
        sql: `select n::text as user_id, 0::float8 as affinity, 0 as opened_10m, 0 as passed_10m
          from generate_series(1, 1000) n`,
      },
      outputs: { score: 'float32' },
    },
  },
});
