/** Rollouts: another model version beside the stable one, as a canary, a shadow or an A/B test, and its analysis. */
import type { Extension } from '@tandem/extension/extension';

export const rollouts: Extension = {
  name: 'rollouts',
  routes: () => import('./routes/routes.ts'),
  commands: () => import('./commands/commands.ts'),
  jobs: () => import('./jobs/jobs.ts'),
  observe: () => import('./observe/observe.ts'),
};
