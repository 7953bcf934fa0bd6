/**
 * A read while a watched source changes in bulk. Its certificate has the floor, the generation, and whether it is
 * outdated.
 */
import { nth, type Step, step } from '../checker/model.ts';
import { computed, floorOf, keep } from './bulk-change-computing.ts';
import type { BulkReader, BulkRules, BulkState, Entry, Prediction } from './bulk-change-state.ts';
import { isFreshUnder } from './worth.ts';

type Steps = Generator<Step<BulkState>>;
type Told = NonNullable<BulkReader['told']>;

export function newBulkReader(): BulkReader {
  return { is: 'away', due: { changes: 0, version: 0, rollbacks: 0 }, told: null };
}

export function* bulkReaderSteps(rules: BulkRules, state: BulkState, i: number): Steps {
  const reader = nth(state.readers, i);
  if (i === 0) yield* flightSteps(rules, state);
  const change = (does: string, then: (reader: BulkReader, draft: BulkState) => void) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  const { postgres } = state;
  if (reader.is === 'away') {
    yield change('arrives', (mine) => {
      const { changes, version, rollbacks } = postgres;
      Object.assign(mine, { is: 'asking', due: { changes, version, rollbacks } });
    });
  }
  if (reader.is !== 'asking') return;
  if (reader.told === null) {
    yield change(`is certified under floor ${floorOf(rules, state)}`, (mine) => {
      const generation = postgres.arm.generation;
      const isOutdated = nth(postgres.generations, generation - 1).source < postgres.source;
      mine.told = { version: postgres.version, generation, isOutdated, floor: floorOf(rules, state) };
    });
    return;
  }
  yield* answerSteps(rules, state, i, reader.told);
}

/** A flight reads features after it has left. Its result is stored at any later time. */
function* flightSteps(rules: BulkRules, state: BulkState): Steps {
  const { flight } = state;
  if (flight && !flight.isRead) {
    yield step(state, 'the flight reads features', (draft) => {
      draft.flight = { ...flight, ...computed(state), isRead: true };
    });
  }
  if (flight?.isRead) {
    yield step(state, 'the result of the flight is stored', (draft) => {
      const { isRead: _isRead, ...entry } = flight;
      const floor = rules.liveFloor === 'of the certificate' ? entry.floor : floorOf(rules, state);
      keep(draft, { ...entry, floor });
      draft.flight = null;
    });
  }
}

function* answerSteps(rules: BulkRules, state: BulkState, i: number, told: Told): Steps {
  const { postgres, redis, flight } = state;
  const answer = (where: string, found: Prediction) =>
    step(state, `reader ${i + 1}: answers as fresh, from ${where}`, (draft) => {
      const mine = nth(draft.readers, i);
      draft.broken = brokenBy(mine, found, where);
      Object.assign(mine, newBulkReader(), { is: 'answered' });
    });
  const row = nth(postgres.generations, told.generation - 1).row;
  if (row && redis.rows.includes(told.generation) && isRowFresh(told, row)) yield answer('the generation', row);
  for (const entry of [redis.overlay, postgres.entry]) {
    if (entry && isEntryFresh(told, entry)) yield answer('the overlay', entry);
  }
  if (flight === null) {
    yield step(state, `reader ${i + 1}: begins a flight`, (draft) => {
      draft.flight = { label: 0, from: 0, asked: postgres.rollbacks, floor: told.floor, isRead: false };
    });
  } else if (flight.isRead && flight.label >= told.version) {
    if (rules.shares === 'by version' || flight.floor === told.floor) yield answer('a flight', flight);
  }
}

/** The product's own rule decides (worth.ts). */
function isRowFresh({ version, generation, isOutdated }: Told, { label }: Prediction): boolean {
  return isFreshUnder({ version, generation, isOutdated }, { label, generation });
}

function isEntryFresh({ version, floor }: Told, entry: Entry): boolean {
  return isFreshUnder({ version, floor }, { label: entry.label, floor: entry.floor });
}

/** Checks I4 and I9 by the recorded facts of the computation. */
function brokenBy({ due }: BulkReader, found: Prediction, where: string): string | null {
  if (found.from < due.changes) return 'I4: a fresh answer from before a bulk change that was committed';
  if (found.label < due.version) return 'I4: a fresh answer from older context than was acknowledged';
  if (where === 'the overlay' && found.asked < due.rollbacks) {
    return 'I9: an answer of the overlay from before a rollback that was over before the read';
  }
  return null;
}
