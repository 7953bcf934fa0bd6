/** W2: a bulk change of a watched table that raises no version. */
import type { Plant } from '../patch.ts';

export const bulkRaisesNothing: Plant = {
  name: 'W2',
  what: 'a bulk change of a watched table does not raise the source version',
  patches: [
    {
      file: 'migrations/0073_changes_at_commit.sql',
      find: 'update tandem.source_versions set version = version + 1 where predictor = any (everyone);',
      replace: '',
    },
  ],
};
