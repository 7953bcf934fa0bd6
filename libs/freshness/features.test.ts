import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ContextValue, overlays, scorableRows } from './features.ts';
import type { FeatureQuery } from './predictor.ts';

const query: FeatureQuery = { sql: 'select', columns: [], asOf: null, overlayForMs: null };
const acceptedAt = (accepted: number, value: unknown = 1): ContextValue => ({
  value,
  accepted,
  time: 0,
  source: 's',
  id: 'i',
});

describe('an event’s value', () => {
  it('yields to a row that is later than its acceptance, and to no earlier row', () => {
    const asOf = { ...query, asOf: 'loaded_at' };
    expect(overlays(asOf, acceptedAt(100), 99, 0)).toBe(true);
    expect(overlays(asOf, acceptedAt(100), 100, 0)).toBe(true);
    expect(overlays(asOf, acceptedAt(100), 101, 0)).toBe(false);
    expect(overlays(asOf, acceptedAt(100), null, 0)).toBe(true);
  });

  it('overlays the row for overlayForMs if the query has no asOf', () => {
    const forAMinute = { ...query, overlayForMs: 60_000 };
    expect(overlays(forAMinute, acceptedAt(100), null, 60_099)).toBe(true);
    expect(overlays(forAMinute, acceptedAt(100), null, 60_100)).toBe(false);
  });

  it('overlays nothing without asOf and overlayForMs, or if it is null', () => {
    expect(overlays(query, acceptedAt(100), null, 100)).toBe(false);
    expect(overlays({ ...query, asOf: 'at' }, acceptedAt(100, null), 1, 0)).toBe(false);
    expect(overlays({ ...query, asOf: 'at' }, acceptedAt(100, 0), 1, 0)).toBe(true);
    expect(overlays({ ...query, asOf: 'at' }, acceptedAt(100, false), 1, 0)).toBe(true);
  });

  it('that yielded to a row yields to every later row, whatever the time on the event’s own clock', () => {
    const asOf = { ...query, asOf: 'loaded_at' };
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), fc.nat(), (accepted, row, later, now) => {
        if (!overlays(asOf, acceptedAt(accepted), row, now))
          expect(overlays(asOf, acceptedAt(accepted), row + later, now)).toBe(false);
        expect(overlays(asOf, { ...acceptedAt(accepted), time: now }, row, 0)).toBe(accepted >= row);
      }),
    );
  });
});

it('scorableRows returns the rows without a fault, in order', () => {
  const batch = {
    history: 'h',
    readAt: 0,
    userIds: ['a', 'b', 'c', 'd'],
    contextVersions: [0, 0, 0, 0],
    columns: [],
    values: [],
    faults: new Map([
      [2, 'twice'],
      [0, 'null'],
    ]),
    unusable: new Map(),
  };
  expect(scorableRows(batch)).toEqual([1, 3]);
});
