/**
 * Builds an API with a second predictor, `checkout`, for the tests of request features. Its model returns its inputs:
 * `orders` of the customer, and `amount` and `channel` of the request.
 */
import { createHash } from 'node:crypto';
import type { FreshnessPolicy, Policy, RequestColumn } from '@tandem/freshness/predictor';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { echoModel } from '@tandem/testing/onnx-models';
import { createTestApi, repurchase, type TestApi } from './api.fixture.ts';

const ARTIFACT = echoModel('float32', 3);

export const CHECKOUT_REQUEST: readonly RequestColumn[] = [
  { name: 'amount', kind: 'number', min: 0, max: 1_000, default: 40 },
  {
    name: 'channel',
    kind: 'string',
    categories: { values: ['web', 'app', 'store'], encoding: 'index' },
    default: 'web',
  },
];

interface Checkout extends Partial<Omit<Policy, 'freshness'>> {
  readonly request?: readonly RequestColumn[];
  readonly freshness?: Partial<FreshnessPolicy>;
}

export function checkout({ request = CHECKOUT_REQUEST, freshness, ...policy }: Checkout = {}): PredictorToAdopt {
  const { definition, policy: like } = repurchase();
  const outputs = ['orders', 'amount', 'channel'].map((name, index) => ({
    ...{ name, output: 'score', type: 'float32' as const, width: null, index },
  }));
  return {
    name: 'checkout',
    artifact: ARTIFACT,
    policy: { ...like, freshness: { ...like.freshness, default: null, ...freshness }, ...policy },
    definition: {
      ...definition,
      predictor: 'checkout',
      artifactHash: createHash('sha256').update(ARTIFACT).digest('hex'),
      query: {
        ...definition.query,
        sql: 'select user_id, orders, loaded_at from customers',
        columns: [{ name: 'orders', kind: 'integer' }],
      },
      request,
      inputs: [{ name: 'features', type: 'float32', columns: ['orders', 'amount', 'channel'] }],
      outputs,
    },
  };
}

export async function adoptCheckout({ pool }: Pick<TestApi, 'pool'>, parts: Checkout = {}): Promise<void> {
  await adopt(pool, { predictors: [repurchase(), checkout(parts)], actor: 'test' });
}

export async function createCheckoutApi(parts: Checkout = {}): Promise<TestApi> {
  const prepare = (pool: TestApi['pool']) => adoptCheckout({ pool }, parts);
  return createTestApi({}, undefined, undefined, {}, { prepare });
}
