import type { Certificate } from '@tandem/freshness/certificate';
import type { FeatureBatch } from '@tandem/freshness/features';
import { type LiveOutcome, NO_ROOM } from '@tandem/freshness/live-predictor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Flight, FlightTable, LiveRead } from './live-flights.ts';

const INPUTS = { batch: {} as FeatureBatch, row: 0 };
const LATEST = { certificate: {} as Certificate, outputs: Buffer.alloc(0), kept: true, inputs: INPUTS };

interface Asked {
  readonly read: LiveRead;
  readonly askedAt: number;
  readonly fresh: boolean;
  answers: number;
}

/** A world in which the test decides when statements are sent and how they end. Clock and versions only rise. */
function createWorld() {
  const line: Flight[] = [];
  const sent: { readonly flight: Flight; readonly sentAt: number; readonly version: number }[] = [];
  const versions = new Map<string, number>();
  const asked: Asked[] = [];
  const versionOf = (userId: string) => versions.get(userId) ?? 0;
  const flights = new FlightTable((flight) => line.push(flight));
  let clock = 0;

  return {
    asked,
    isQuiet: () => line.length + sent.length === 0,
    change: (userId: string) => versions.set(userId, versionOf(userId) + 1),
    read(userIds: readonly string[], fresh: boolean): void {
      const readers = userIds.map((userId) => ({ userId, minVersion: versionOf(userId), fresh }));
      const read = new LiveRead(readers, 1, () => void one.answers++);
      const one = { read, askedAt: ++clock, fresh, answers: 0 };
      asked.push(one);
      flights.join(read);
    },
    /** Sends all waiting flights. The label of each is its user's version at that moment. */
    send(): void {
      expect(new Set(line.map(({ userId }) => userId)).size).toBe(line.length);
      for (const flight of line.splice(0)) {
        flight.isSent = true;
        sent.push({ flight, sentAt: ++clock, version: versionOf(flight.userId) });
      }
    },
    /**
     * Completes a sent flight. `computedAt`, or the detail of the failure, is the time at which its statement was sent.
     */
    complete(at: number, fails: boolean): void {
      const [one] = sent.splice(at % Math.max(1, sent.length), 1);
      if (!one) return;
      const { flight, sentAt, version } = one;
      const outcome: LiveOutcome = fails
        ? { kind: 'failed', reason: 'live_failed', detail: `${sentAt}` }
        : { kind: 'predicted', contextVersion: version, computedAt: sentAt, ...LATEST };
      flights.complete(flight, outcome);
    },
  };
}

function assertFair({ read, askedAt, fresh, answers }: Asked): void {
  expect(answers).toBe(1);
  for (const [i, { minVersion }] of read.readers.entries()) {
    const outcome = read.outcomes[i];
    if (outcome?.kind === 'predicted') {
      expect(outcome.contextVersion).toBeGreaterThanOrEqual(minVersion);
      if (fresh) expect(outcome.computedAt).toBeGreaterThan(askedAt);
    }
    // A reader does not get a failure from before it arrived.
    if (outcome?.kind === 'failed') expect(Number(outcome.detail)).toBeGreaterThan(askedAt);
  }
}

const user = fc.constantFrom('a', 'b');
const users = fc.uniqueArray(user, { minLength: 1 });
const step = fc.oneof(
  fc.record({ do: fc.constant('read' as const), users, fresh: fc.boolean() }),
  fc.record({ do: fc.constantFrom('change' as const), user }),
  fc.record({ do: fc.constantFrom('send' as const) }),
  fc.record({ do: fc.constant('complete' as const), at: fc.nat(3), fails: fc.boolean() }),
  fc.record({ do: fc.constantFrom('give up' as const), reader: fc.nat(9) }),
);

test('no reader gets a label below its version or an earlier failure, or, if it demands an inference, an earlier statement', () => {
  let followed = 0;
  const property = fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
    const world = createWorld();
    for (const one of steps) {
      if (one.do === 'read') world.read(one.users, one.fresh);
      else if (one.do === 'change') world.change(one.user);
      else if (one.do === 'send') world.send();
      else if (one.do === 'complete') world.complete(one.at, one.fails);
      else world.asked[one.reader]?.read.end();
    }
    for (let i = 0; i < 200 && !world.isQuiet(); i++) {
      world.send();
      world.complete(0, false);
    }
    for (const one of world.asked) {
      assertFair(one);
      followed += one.read.outcomes.filter(
        (found) => found?.kind === 'predicted' && found.computedAt < one.askedAt,
      ).length;
    }
  });
  fc.assert(property, { numRuns: 500 });
  // Otherwise the test would prove nothing for readers that follow a flight.
  expect(followed).toBeGreaterThan(50);
});

test('a reader that gives up does not end the flight for its other readers', () => {
  const world = createWorld();
  world.read(['a'], false);
  world.read(['a', 'b'], true);
  world.asked[0]?.read.end();
  world.send();
  world.complete(0, false);
  world.complete(0, false);
  expect(world.isQuiet()).toBe(true);
  expect(world.asked.map(({ read }) => read.outcomes.map((outcome) => outcome?.kind))).toEqual([
    [undefined],
    ['predicted', 'predicted'],
  ]);
});

test('a reader without room is rejected immediately, without effect on readers that have a flight', () => {
  const line: Flight[] = [];
  const flights = new FlightTable(
    (flight) => line.push(flight),
    (deadline) => deadline > 10 && line.length < 1,
  );
  const join = (userId: string, deadline = 20) => {
    const read = new LiveRead([{ userId, minVersion: 0, fresh: false }], deadline, () => {});
    flights.join(read);
    return read;
  };
  const [late, first, second, other] = [join('a', 10), join('a'), join('a'), join('b')];
  expect([late, first, second, other].map(({ outcomes: [outcome] }) => outcome)).toEqual([
    NO_ROOM,
    undefined,
    undefined,
    NO_ROOM,
  ]);
  expect(line.map(({ userId, waiters }) => [userId, waiters.length])).toEqual([['a', 2]]);
});
