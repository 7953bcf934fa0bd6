/**
 * A read of a user who may be erased. While Postgres answers, the certificate decides: 404 while erased, nothing up to
 * the deleted version after. While it does not, what Redis has may be served, said to be unverified: then only what the
 * process knows of Redis keeps an erased user out.
 */
import { nth, type Step, step } from '../checker/model.ts';
import { predictionNow, putEntry } from './erasure-entries.ts';
import type { ErasureReader, ErasureRules, ErasureScope, ErasureState, Prediction, Redis } from './erasure-state.ts';
import { worthOf } from './worth.ts';

export function newErasureReader(): ErasureReader {
  return { is: 'away', due: { isErased: false, eras: 0 }, told: null, found: null };
}

type Change = (does: string, then: (reader: ErasureReader, draft: ErasureState) => void) => Step<ErasureState>;

export function* erasureReaderSteps(
  rules: ErasureRules,
  scope: ErasureScope,
  state: ErasureState,
  i: number,
): Generator<Step<ErasureState>> {
  const reader = nth(state.readers, i);
  const { postgres, flight } = state;
  const change: Change = (does, then) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  if (i === 0 && flight !== null) {
    yield step(state, 'the live result is put into Redis', (draft) => {
      putEntry(draft, flight);
      draft.flight = null;
    });
  }
  // What a process knows it may have from another read: one reader stands for all of them.
  if (i === 0 && !postgres.isDown) {
    yield step(state, 'another read of the process is certified', (draft) => {
      draft.known = knownNow(draft);
    });
  }
  if (reader.is === 'away') {
    yield change('arrives', (mine, draft) => {
      mine.is = 'asking';
      mine.due = draft.acknowledged;
    });
  }
  if (reader.is !== 'asking') return;
  if (reader.found === null) {
    yield change('finds what Redis has', (mine, draft) => {
      mine.found = draft.redis;
    });
  }
  if (reader.told === null && postgres.isDown) {
    yield change('gets no answer from Postgres', (mine) => {
      mine.told = 'no answer';
    });
  } else if (reader.told === null) {
    yield change(`is certified: version ${postgres.version}, deleted version ${postgres.deleted}`, (mine, draft) => {
      const { version, deleted, inForce } = draft.postgres;
      mine.told = { version, deleted, inForce };
      draft.known = knownNow(draft);
    });
  } else if (reader.found && reader.told === 'no answer') yield* unverifiedSteps(rules, state, reader.found, change);
  else if (reader.told !== 'no answer') yield* verifiedSteps(scope, state, reader, change);
}

function knownNow({ postgres, redis }: ErasureState): ErasureState['known'] {
  const { version, deleted, inForce, erasures } = postgres;
  return { run: redis.run, inForce, erasures, deleted, isErased: deleted > 0 && version === deleted };
}

function* verifiedSteps(
  scope: ErasureScope,
  state: ErasureState,
  { told, found }: ErasureReader,
  change: Change,
): Generator<Step<ErasureState>> {
  if (told === null || told === 'no answer') return;
  if (told.deleted > 0 && told.version === told.deleted) {
    yield change('answers 404: erased', end);
    return;
  }
  const { rows, entry, version, deleted, isDown } = state.postgres;
  const { inForce } = told;
  const candidates = [
    ...(found
      ? [
          { stored: found.generations[inForce], generation: inForce },
          { stored: found.overlay, generation: null },
        ]
      : []),
    ...(isDown
      ? []
      : [
          { stored: rows[inForce], generation: inForce },
          { stored: entry, generation: null },
        ]),
  ];
  for (const { stored, generation } of candidates) {
    if (!stored) continue;
    const worth = worthOf({ label: stored.label, generation }, { ...told, generation: inForce });
    // A stale candidate is served where live does not come in time, and says so.
    if (worth !== 'fresh' && worth !== 'stale') continue;
    yield change(`answers, as ${worth}, with label ${stored.label}`, (mine, draft) => serve(mine, stored, draft));
  }
  if (!scope.isLive || isDown || state.flight !== null) return;
  if (deleted > 0 && version === deleted) yield change('finds the user erased at its live statement: 404', end);
  else {
    yield change(`infers live: label ${version}`, (mine, draft) => {
      draft.flight = predictionNow(draft);
      serve(mine, draft.flight, draft);
    });
  }
}

function* unverifiedSteps(
  rules: ErasureRules,
  state: ErasureState,
  found: Redis,
  change: Change,
): Generator<Step<ErasureState>> {
  const { known } = state;
  yield change('answers 503', end);
  if (rules.unverified === 'off' || known.run !== found.run) return;
  const isCounting = rules.unverified === 'server and count';
  if (isCounting && (known.isErased || found.erasures !== known.erasures)) return;
  for (const stored of [found.generations[known.inForce], found.overlay]) {
    if (!stored || (isCounting && known.deleted > 0 && stored.label <= known.deleted)) continue;
    yield change(`answers, unverified, with label ${stored.label}`, (mine, draft) => serve(mine, stored, draft));
  }
}

/** I11. */
function serve(reader: ErasureReader, { era }: Prediction, draft: ErasureState): void {
  const { due } = reader;
  if (due.isErased) draft.broken = "I11: an answer, though the user's erasure was acknowledged before the read";
  else if (era < due.eras) draft.broken = 'I11: an answer from before an erasure that was acknowledged before the read';
  end(reader);
}

function end(reader: ErasureReader): void {
  Object.assign(reader, newErasureReader(), { is: 'answered' });
}
