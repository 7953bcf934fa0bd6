/**
 * Applications that change their own row and send an event over HTTP. They repeat events with the same ids until the
 * events are acknowledged. Some events are sent several times at once, some again much later, and some out of order.
 * Some are sent again with another payload, which the service must refuse.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { changeSilently, type Pool } from '../../../e2e/counts.fixture.ts';
import { type EventResult, monotonicNow, type SentEvent } from '../history.ts';
import { type Dice, type LoadParts, REFUSED_PAUSE_MS, type RecentEvent, repeat, shuffled } from './load-parts.ts';

export interface WriterOptions {
  readonly pool: Pool;
  /** The rate of each writer. */
  readonly callsPerSecond: number;
  /** The most events of one call. */
  readonly mostEvents: number;
}

/** An event that is not sent yet. The change of its row is committed. */
interface Unsaid {
  readonly source: string;
  readonly id: string;
  readonly userId: string;
  readonly type: string;
  readonly score: number;
  readonly changedAt: number;
  firstSent: number | null;
}

export const HTTP_SOURCE = 'load';
/** The time for which a writer repeats unacknowledged events after the end of the load. */
const LAST_TRIES_MS = 10_000;

export function startWriter(parts: LoadParts, name: string, dice: Dice, options: WriterOptions): Promise<void> {
  let made = 0;
  let stoppingSince: number | null = null;

  /** Changes a row; null if the database did not accept the change. */
  async function change(userId: string): Promise<Unsaid | null> {
    const at = monotonicNow();
    const score = await changeSilently(options.pool, userId).catch(() => null);
    parts.sink.write({ kind: 'change', at, ended: monotonicNow(), userId, score });
    if (score === null) {
      await pause(REFUSED_PAUSE_MS);
      return null;
    }
    const id = `${name}-${++made}`;
    return { source: HTTP_SOURCE, id, userId, type: 'changed', score, changedAt: at, firstSent: null };
  }

  async function write(): Promise<void> {
    const choice = dice.next();
    if (choice < 0.08) return sendAgain(parts, dice, choice < 0.03);
    const userIds = Array.from({ length: 1 + dice.below(options.mostEvents) }, () =>
      String(1 + dice.below(parts.changing)),
    );
    // Several events of one user, which are then sent in random order.
    const isOfOne = choice < 0.2;
    const unsaid: Unsaid[] = [];
    for (const userId of userIds) {
      const event = await change(isOfOne ? (userIds[0] ?? userId) : userId);
      if (event) unsaid.push(event);
    }
    if (unsaid.length === 0 || choice > 0.98) return;
    if (isOfOne) for (const event of shuffled(unsaid, dice)) await sayUntilAcknowledged([event], 1);
    else await sayUntilAcknowledged(unsaid, choice < 0.3 ? 5 : 1);
  }

  /** @param copies the number of copies that are sent at once, each to any API */
  async function sayUntilAcknowledged(unsaid: readonly Unsaid[], copies: number): Promise<void> {
    for (;;) {
      const answers = await Promise.all(Array.from({ length: copies }, () => say(unsaid)));
      if (answers.includes('acknowledged')) return;
      if (parts.isStopping()) stoppingSince ??= performance.now();
      if (stoppingSince !== null && performance.now() - stoppingSince > LAST_TRIES_MS) return;
      await pause(REFUSED_PAUSE_MS * (1 + dice.below(8)));
    }
  }

  async function say(unsaid: readonly Unsaid[]): Promise<'acknowledged' | 'unknown'> {
    const now = monotonicNow();
    for (const event of unsaid) event.firstSent ??= now;
    const events = unsaid.map(({ firstSent, ...event }) => ({ ...event, firstSent: firstSent ?? now }));
    const results = await send(parts, dice, events);
    return results.length > 0 ? 'acknowledged' : 'unknown';
  }

  return repeat(parts, options.callsPerSecond, write);
}

type Sendable = Omit<RecentEvent, 'contextVersion' | 'contextToken'> & Pick<SentEvent, 'conflicting'>;

async function send(parts: LoadParts, dice: Dice, sendable: readonly Sendable[]): Promise<readonly EventResult[]> {
  const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), {
    method: 'POST',
    path: '/v1/events',
    contentType: 'application/cloudevents-batch+json',
    body: sendable.map(({ source, id, userId, type, told }) => ({
      specversion: '1.0',
      id,
      source,
      type,
      subject: userId,
      ...(told === undefined ? {} : { datacontenttype: 'application/json', data: { told } }),
    })),
    timeoutMs: parts.deadlines.event,
  });
  const told = call.status === 202 ? ((body as { results?: readonly EventResult[] } | undefined)?.results ?? []) : [];
  const results = told.map(({ id, status, contextVersion, contextToken }) => ({
    id,
    status,
    contextVersion,
    contextToken,
  }));
  const events = sendable.map(({ source, type, ...event }) => event);
  parts.sink.write({ kind: 'event', ...call, events, results });
  sendable.forEach((event, i) => {
    const result = results[i];
    if (result?.status !== 'accepted') return;
    const { contextVersion, contextToken } = result;
    parts.recent.add({ ...event, contextVersion, contextToken });
  });
  return results;
}

/**
 * Sends an acknowledged event again over HTTP. With the same payload it has no effect; with another payload it is
 * refused.
 */
async function sendAgain(parts: LoadParts, dice: Dice, isConflicting: boolean): Promise<void> {
  const event = parts.recent.any(dice);
  if (!event) return;
  const { contextVersion, contextToken, ...sendable } = event;
  await send(parts, dice, [isConflicting ? { ...sendable, type: 'another', conflicting: true } : sendable]);
}
