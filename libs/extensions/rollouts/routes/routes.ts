import type { RoutesPart } from '@tandem/extension/extension';
import { listRolloutChecks } from './checks.ts';
import { listRollouts } from './list.ts';
import { moveRollout } from './move.ts';
import { overrideArms } from './override.ts';
import { showRolloutReport } from './report.ts';
import { openRolloutRoutes } from './rollout-routes.ts';
import { showShadowReport } from './shadow-report.ts';
import { showRollout } from './show.ts';
import { startRollout } from './start.ts';

export const routes: RoutesPart['routes'] = (host) => {
  const dependencies = openRolloutRoutes(host);
  return [
    startRollout(dependencies),
    listRollouts(dependencies),
    showRollout(dependencies),
    showRolloutReport(dependencies),
    listRolloutChecks(dependencies),
    ...moveRollout(dependencies),
    ...overrideArms(dependencies),
    showShadowReport(dependencies),
  ];
};
