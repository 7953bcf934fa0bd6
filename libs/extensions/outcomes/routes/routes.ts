import type { RoutesPart } from '@tandem/extension/extension';
import { createOutcomeStore } from '../outcome-store.ts';
import { sendOutcomes } from './send.ts';

export const routes: RoutesPart['routes'] = ({ pool, acknowledgeWithinMs, ...host }) => [
  sendOutcomes({ ...host, outcomes: createOutcomeStore(pool, { withinMs: acknowledgeWithinMs }) }),
];
