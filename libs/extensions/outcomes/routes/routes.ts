import type { ApiTag, RoutesPart } from '@tandem/extension/extension';
import { createOutcomeStore } from '../outcome-store.ts';
import { sendOutcomes } from './send.ts';

export const tags: readonly ApiTag[] = [
  { name: 'rollouts', description: 'Canaries, shadows and A/B tests, and their outcomes' },
];

export const routes: RoutesPart['routes'] = ({ pool, acknowledgeWithinMs, keyType, metrics }) => [
  sendOutcomes({ keyType, metrics, outcomes: createOutcomeStore(pool, { withinMs: acknowledgeWithinMs }) }),
];
