/** Writes the simulated feed as a history for `tandem value` (docs/value.md). */
import { DAYS, type FeedOptions, type FeedUser, MINUTE_MS, simulateFeed, USERS, WINDOW_MS } from './behaviour.ts';

/** The beginning of the history: the start of an arbitrary day. */
const BEGIN_MS = Date.UTC(2026, 0, 5);
const END_MS = BEGIN_MS + DAYS * 24 * 60 * MINUTE_MS;

/** Features of a user: the affinity, and items opened and passed in the last ten minutes. */
const FEATURES = ['affinity', 'opened_10m', 'passed_10m'] as const;

/** Yields the lines of the file, the head first. */
export function* feedHistory(options: FeedOptions): Generator<string> {
  yield JSON.stringify({
    ...{ format: 'tandem-value-1', predictor: 'offer', simulated: true, features: FEATURES },
    ...{ users: options.users ?? USERS, from: iso(BEGIN_MS), to: iso(END_MS) },
  });
  for (const user of simulateFeed(options)) for (const line of linesOf(user)) yield JSON.stringify(line);
}

/** Yields the changes of the features: when an item is shown, and when it is ten minutes old. */
function* linesOf({ id, affinity, views }: FeedUser): Generator<object> {
  const counts = { opened: 0, passed: 0 };
  const changes = views.flatMap(({ atMs, isOpened }) => {
    const name = isOpened ? ('opened' as const) : ('passed' as const);
    return [
      { atMs: atMs + WINDOW_MS, name, by: -1 },
      { atMs, name, by: 1 },
    ];
  });
  const context = (atMs: number) => ({
    ...{ user: id, at: iso(BEGIN_MS + atMs), kind: 'context' },
    features: [affinity, counts.opened, counts.passed],
  });
  yield context(0);
  let read = 0;
  for (const { atMs, name, by } of changes.toSorted((a, b) => a.atMs - b.atMs || a.by - b.by)) {
    const at = iso(BEGIN_MS + atMs);
    if (BEGIN_MS + atMs >= END_MS) break;
    if (by > 0) yield { user: id, at, kind: 'read', outcome: Number(views[read++]?.isTaken) };
    if (by > 0) yield { user: id, at, kind: 'event' };
    counts[name] += by;
    yield context(atMs);
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
