/** Keeps overlay entries by compare-and-set: put-overlay.lua says which entry gives way. */
import type { OnlineOverlayStore, OverlayEntry, PutResult } from '@tandem/prediction/stored-prediction';
import type { OnlineConnection } from './connection.ts';
import { createKeys, placeOf } from './keys.ts';
import { loadScript, runScript } from './scripts.ts';
import { encodeOverlayEntry } from './stored-value.ts';

/** How long entries and hints are kept without a change: 7 days. Postgres has the lasting copy. */
export const DEFAULT_EXPIRY_MS = 7 * 24 * 60 * 60 * 1_000;

export interface OverlayStoreDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
  readonly expiryMs?: number;
}

/** A longer write would hold up the server's other clients. */
const ENTRIES_A_WRITE = 1_000;

/** `put` rejects `unavailable` where Redis does not answer or refuses (out of memory, say). */
export function createOverlayStore(dependencies: OverlayStoreDependencies): OnlineOverlayStore {
  const { connection, prefix, expiryMs = DEFAULT_EXPIRY_MS } = dependencies;
  const keys = createKeys(prefix);
  const script = loadScript('put-overlay.lua');
  const expiry = String(expiryMs);

  function callOf(entry: OverlayEntry) {
    const place = placeOf(entry.userId);
    return {
      keys: [keys.overlay(place, entry.predictor), keys.hint(place)],
      args: [encodeOverlayEntry(entry, place.hash), expiry],
    };
  }

  async function putEach(entries: readonly OverlayEntry[]): Promise<readonly PutResult[]> {
    const results: PutResult[] = [];
    for (let i = 0; i < entries.length; i += ENTRIES_A_WRITE) {
      const calls = entries.slice(i, i + ENTRIES_A_WRITE).map(callOf);
      for (const result of await runScript(connection, script, calls)) results.push(resultOf(result));
    }
    return results;
  }

  return {
    putEach,
    async put(entries) {
      await putEach(entries);
    },
  };
}

function resultOf(reply: unknown): PutResult {
  if (reply === 1) return 'kept';
  return reply === 0 ? 'older' : 'outdated';
}
