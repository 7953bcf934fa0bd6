/** Rankings: the candidates of one call for one user, ordered by an output of the prediction for each candidate. */
import type { Extension } from '@tandem/extension/extension';

export const rankings: Extension = {
  name: 'rankings',
  routes: () => import('./routes/routes.ts'),
  commands: () => import('./commands/commands.ts'),
};
