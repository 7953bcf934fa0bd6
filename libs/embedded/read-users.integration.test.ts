import { createPredictionWorld, PREDICTOR, type PredictionWorld } from '@tandem/prediction/prediction-world.fixture';
import { createMetrics } from '@tandem/telemetry/metrics';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OF_MANY, optionsOf, usersOf } from './read-demand.ts';
import { createReadUsers } from './read-users.ts';

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 5 });
  await world.run({ kind: 'all' });
});
afterAll(() => world?.close());

it('reads the users of the call, even if the caller changes its list after they are certified', async () => {
  await world.change('2');
  const userIds = ['1'];
  const authority: Pick<PredictionWorld['authority'], 'certify'> = {
    async certify(...asked) {
      const certificate = await world.authority.certify(...asked);
      userIds[0] = '2';
      return certificate;
    },
  };
  const readUsers = createReadUsers({
    readPrediction: world.createReader({ authority }),
    metrics: createMetrics({ app: 'embedded', processMetrics: false }),
    onAnswer: () => {},
  });
  const predictor = await world.registry.predictor(PREDICTOR);
  if (!predictor) throw new Error('the predictor is not known');
  const { results } = await readUsers({ predictor, ...usersOf(userIds), options: optionsOf(undefined, OF_MANY) });
  expect(results).toMatchObject([{ userId: '1', source: 'batch', reason: 'fresh' }]);
});
