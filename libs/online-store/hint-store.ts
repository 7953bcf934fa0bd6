/** Version hints: what lets Redis refuse an answer that an event has overtaken. Losing one costs a write, nothing else. */
import type { HintStore } from '@tandem/prediction/events/events';
import type { OnlineConnection } from './connection.ts';
import { createKeys, placeOf } from './keys.ts';
import { DEFAULT_EXPIRY_MS } from './overlay-store.ts';
import { loadScript, runScript } from './scripts.ts';

export interface HintStoreDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
  readonly expiryMs?: number;
}

/** `raise` rejects `unavailable` where Redis does not answer. */
export function createHintStore(dependencies: HintStoreDependencies): HintStore {
  const { connection, prefix, expiryMs = DEFAULT_EXPIRY_MS } = dependencies;
  const keys = createKeys(prefix);
  const script = loadScript('raise-hint.lua');
  return {
    async raise(hints) {
      const calls = hints.map(({ userId, history, version }) => ({
        keys: [keys.hint(placeOf(userId))],
        args: [history, String(version), String(expiryMs)],
      }));
      await runScript(connection, script, calls);
    },
  };
}
