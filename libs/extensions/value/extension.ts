/** The value of fresh context, reported on a history of reads with outcomes. */
import type { Extension } from '@tandem/extension/extension';

export const value: Extension = {
  name: 'value',
  commands: () => import('./commands/commands.ts'),
};
