import { unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';

/** Returns the predictor of this name. Rejects with `unknown_predictor`. */
export async function requirePredictor(registry: Pick<Registry, 'predictor'>, name = ''): Promise<Predictor> {
  const predictor = await registry.predictor(name);
  if (predictor) return predictor;
  throw unknownPredictor(name);
}
