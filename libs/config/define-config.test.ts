import { expect, test } from 'vitest';
import { defineConfig, type TandemConfig } from './define-config.ts';

test('a config is returned unchanged, and the compiler knows every setting', () => {
  const config: TandemConfig = {
    predictors: {
      churn: {
        model: './churn.onnx',
        features: { sql: 'select …', asOf: 'loaded_at' },
        outputs: { score: 'float32', classes: { from: 'probabilities', type: 'float32', width: 3 } },
        freshness: {
          maxAge: '36h',
          onLiveFailure: 'stale',
          default: { score: 0.2, classes: [1, 0, 0] },
          events: ['order.*'],
        },
        batch: { schedule: '0 2 * * *', chunkSize: 5000, minCoverage: 0.9 },
      },
    },
  };
  expect(defineConfig(config)).toBe(config);
});

test('the compiler refuses a misspelt setting, an unknown type and a duration without a unit', () => {
  const features = { sql: 'select …' };
  const refused: TandemConfig[] = [
    // @ts-expect-error maxage is not a setting
    { predictors: { churn: { model: 'm', features, outputs: {}, freshness: { maxage: '1h' } } } },
    // @ts-expect-error float3 is not a type
    { predictors: { churn: { model: 'm', features, outputs: { score: 'float3' } } } },
    // @ts-expect-error 36 has no unit
    { predictors: { churn: { model: 'm', features, outputs: {}, freshness: { maxAge: '36' } } } },
  ];
  expect(refused).toHaveLength(3);
});
