/** The reader of the planted design "readers trust the pointer in Redis". */
import type { Assignment, Assignments } from '@tandem/freshness/certificate';
import { askRedis } from './redis-of-plants.ts';

const BELIEVED_MS = 3_000;

/** @param assigned the assignment in Postgres, which is written if Redis has none; rollouts are not written */
export async function pointerOfRedis(assigned: Assignments): Promise<Assignments> {
  const stable = await heldOf(assigned.stable);
  const of = (userId: string) => {
    const assignment = assigned.of(userId);
    return assignment === assigned.stable ? stable : assignment;
  };
  return { ...assigned, stable, of };
}

async function heldOf(stable: Assignment): Promise<Assignment> {
  const key = `planted:pointer:${stable.predictor}`;
  const held = await askRedis((redis) => redis.get(key));
  if (held !== null) return JSON.parse(held) as Assignment;
  await askRedis((redis) => redis.set(key, JSON.stringify(stable), 'PX', BELIEVED_MS, 'NX'));
  return stable;
}
