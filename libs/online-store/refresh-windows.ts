/**
 * The windows of re-scoring. In each window, only one worker re-scores a user of a predictor. The keys expire with the
 * window, so an erasure need not delete them.
 */

import { partsOf } from '@tandem/prediction/parts';
import type { RefreshWindows } from '@tandem/prediction/refresh/refresh-pass';
import type { StoreDependencies } from './connection.ts';
import { createKeys, userKeyOf } from './keys.ts';
import { loadScript, runScript } from './scripts.ts';

/** The most keys of a call, as for overlay entries. A longer call would delay the server's other clients. */
const KEYS_A_CALL = 250;

/** Creates the windows. `take` rejects with `unavailable` if Redis does not answer. */
export function createRefreshWindows({ connection, prefix }: StoreDependencies): RefreshWindows {
  const keys = createKeys(prefix);
  const script = loadScript('take-windows.lua');
  const keysACall = connection.isCluster ? 1 : KEYS_A_CALL;
  return {
    async take(predictor, userIds, forMs) {
      const names = userIds.map((userId) => keys.refreshWindow(userKeyOf(userId), predictor));
      const calls = partsOf(names, keysACall).map((some) => ({ keys: some, args: [String(Math.ceil(forMs))] }));
      return (await runScript(connection, script, calls)).flatMap((reply) => reply as readonly number[]);
    },
  };
}
