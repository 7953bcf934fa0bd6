/** The reader of the planted design "the pointer in Redis is believed". */
import type { Assignment } from '@tandem/prediction/certificate';
import { askRedis } from './redis-of-plants.ts';

const BELIEVED_MS = 3_000;

/** @param assigned what Postgres assigns now: written where Redis holds nothing */
export async function pointerOfRedis(assigned: Assignment): Promise<Assignment> {
  const key = `planted:pointer:${assigned.predictor}`;
  const held = await askRedis((redis) => redis.get(key));
  if (held !== null) return JSON.parse(held) as Assignment;
  await askRedis((redis) => redis.set(key, JSON.stringify(assigned), 'PX', BELIEVED_MS, 'NX'));
  return assigned;
}
