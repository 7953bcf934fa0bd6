import type { RoutesPart } from '@tandem/extension/extension';
import { rank } from './rank.ts';

export const routes: RoutesPart['routes'] = (host) => [rank(host)];
