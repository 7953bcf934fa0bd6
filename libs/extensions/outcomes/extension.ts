/** Outcomes: what users did after they were served, as applications report it. Rollouts are judged by them. */
import type { Extension } from '@tandem/extension/extension';

export const outcomes: Extension = {
  name: 'outcomes',
  routes: () => import('./routes/routes.ts'),
  commands: () => import('./commands/commands.ts'),
};
