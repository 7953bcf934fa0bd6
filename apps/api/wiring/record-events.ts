/**
 * Records events: checks the ids, stores all events in one transaction, sends hints to Redis, and returns the
 * acknowledgement. A hint that fails or is slow changes nothing.
 */

import { type KeyType, requireKeyType, userIdProblem } from '@tandem/freshness/user-id';
import {
  type ContextEvent,
  type EventResult,
  type EventStore,
  type HintStore,
  parseContextToken,
} from '@tandem/prediction/events/events';
import { within } from '@tandem/timing/within';

interface RecordEventsDependencies {
  readonly events: EventStore;
  readonly hints: HintStore;
  /** Returns the key type of the service; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
  /**
   * Receives the result of a request's hints: whether Redis accepted them in time, and the seconds since the commit.
   */
  readonly onHint: (seconds: number, outcome: 'ok' | 'failed') => void;
  /** The most milliseconds that an acknowledgement waits for Redis. */
  readonly hintBudgetMs?: number;
}

type RecordEvents = (
  events: readonly ContextEvent[],
  fieldOf?: (index: number) => string,
  keyId?: string,
) => Promise<readonly EventResult[]>;

const HINT_BUDGET_MS = 20;

/**
 * Creates the use case. It rejects with the errors of EventStore, and with `invalid_input` for an id that is not
 * canonical.
 */
export function createRecordEvents(dependencies: RecordEventsDependencies): RecordEvents {
  const { events: store, hints, keyType, onHint, hintBudgetMs = HINT_BUDGET_MS } = dependencies;

  async function raiseHints(results: readonly EventResult[]): Promise<void> {
    const newest = new Map<string, { userId: string; history: string; version: number }>();
    for (const { userId, contextToken } of results) {
      const token = parseContextToken(contextToken);
      if (token && token.version >= (newest.get(userId)?.version ?? 0)) newest.set(userId, { userId, ...token });
    }
    if (newest.size === 0) return;
    const committedAt = performance.now();
    const tell = (outcome: 'ok' | 'failed') => onHint((performance.now() - committedAt) / 1000, outcome);
    try {
      await within(hintBudgetMs, hints.raise([...newest.values()]), () => new Error('the hint took too long'));
      tell('ok');
    } catch {
      tell('failed');
    }
  }

  return async function recordEvents(events, fieldOf = (index) => `[${index}].`, keyId) {
    const type = requireKeyType(await keyType());
    events.forEach((event, index) => {
      const problem = userIdProblem(type, event.userId, `${fieldOf(index)}subject`);
      if (problem) throw problem;
    });
    if (events.length === 0) return [];
    const results = await store.accept(events, keyId);
    await raiseHints(results);
    return results;
  };
}
