/**
 * Stores overlay entries by compare-and-set: put-overlay.lua decides which entry is replaced. Entries of the same
 * moment are sent in one call, as one command with one promise and one timer.
 */

import type { OnlineOverlayStore, OverlayEntry, PutResult } from '@tandem/freshness/stored-prediction';
import type { HintStore } from '@tandem/prediction/events/events';
import { partsOf } from '@tandem/prediction/parts';
import type { StoreDependencies } from './connection.ts';
import { createKeys, type Keys, userKeyOf } from './keys.ts';
import { loadScript, runScript, type ScriptCall } from './scripts.ts';
import { overlayEntryLength, writeOverlayEntry } from './stored-value.ts';

/** 7 days. Postgres has the durable copy. */
const DEFAULT_EXPIRY_MS = 7 * 24 * 60 * 60 * 1_000;

interface ExpiringDependencies extends StoreDependencies {
  /** How long entries and hints are kept without a change, in ms. */
  readonly expiryMs?: number;
}

/**
 * The most entries of a call, which takes about 1 ms. A longer call would delay the server's other clients. In a
 * cluster, each user has a separate call.
 */
const ENTRIES_A_CALL = 250;
/** The bytes of the length before each entry. */
const LENGTH_BYTES = 4;

/**
 * Creates the store. `put` rejects with `unavailable` if Redis does not answer or refuses, for example for lack of
 * memory.
 */
export function createOverlayStore(dependencies: ExpiringDependencies): OnlineOverlayStore {
  const { connection, prefix, expiryMs = DEFAULT_EXPIRY_MS } = dependencies;
  const keys = createKeys(prefix);
  const script = loadScript('put-overlay.lua');
  const expiry = String(expiryMs);
  const entriesACall = connection.isCluster ? 1 : ENTRIES_A_CALL;

  async function putEach(entries: readonly OverlayEntry[]): Promise<readonly PutResult[]> {
    const calls = partsOf(entries, entriesACall).map((some) => callOf(keys, some, expiry));
    const replies = await runScript(connection, script, calls);
    return replies.flatMap((reply) => (reply as readonly unknown[]).map(resultOf));
  }

  return {
    putEach,
    async put(entries) {
      await putEach(entries);
    },
  };
}

function callOf(keys: Keys, entries: readonly OverlayEntry[], expiry: string): ScriptCall {
  const names: string[] = [];
  const bytes = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + LENGTH_BYTES + overlayEntryLength(entry), 0));
  let at = 0;
  for (const entry of entries) {
    const user = userKeyOf(entry.userId);
    names.push(keys.overlay(user, entry.predictor), keys.hint(user));
    const length = overlayEntryLength(entry);
    writeOverlayEntry(bytes, bytes.writeUInt32LE(length, at), entry, user.hash);
    at += LENGTH_BYTES + length;
  }
  return { keys: names, args: [expiry, bytes] };
}

function resultOf(reply: unknown): PutResult {
  if (reply === 1) return 'kept';
  return reply === 0 ? 'older' : 'outdated';
}

/**
 * Creates the store of users' version hints, with which Redis rejects an answer from before the latest event. The loss
 * of a hint only costs a write. `raise` rejects with `unavailable` if Redis does not answer.
 */
export function createHintStore(dependencies: ExpiringDependencies): HintStore {
  const { connection, prefix, expiryMs = DEFAULT_EXPIRY_MS } = dependencies;
  const keys = createKeys(prefix);
  const script = loadScript('raise-hint.lua');
  return {
    async raise(hints) {
      const calls = hints.map(({ userId, history, version }) => ({
        keys: [keys.hint(userKeyOf(userId))],
        args: [history, String(version), String(expiryMs)],
      }));
      await runScript(connection, script, calls);
    },
  };
}
