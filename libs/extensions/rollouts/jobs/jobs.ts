import type { JobsPart } from '@tandem/extension/extension';
import { rolloutRound } from './move-rollouts.ts';

export const rounds: JobsPart['rounds'] = (host) => [rolloutRound(host)];
