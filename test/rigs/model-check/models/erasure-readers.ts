/**
 * A read of a user who may be erased. While Postgres answers, the certificate decides: 404 while the user is erased,
 * and after a readmission no prediction up to the deleted version. While Postgres does not answer, data in Redis may be
 * served as unverified. Then only two things exclude an erased user: the erasures that the process knows, and Redis'
 * count, which must equal the number of these erasures.
 */
import { nth, type Step, step } from '../checker/model.ts';
import { predictionNow, putEntry } from './erasure-entries.ts';
import type { ErasureReader, ErasureRules, ErasureScope, ErasureState, Heard, Prediction } from './erasure-state.ts';
import { worthOf } from './worth.ts';

export function newErasureReader(): ErasureReader {
  return { is: 'away', due: { isErased: false, eras: 0 }, server: 0, told: null, found: null };
}

type Change = (does: string, then: (reader: ErasureReader, draft: ErasureState) => void) => Step<ErasureState>;

export function* erasureReaderSteps(
  rules: ErasureRules,
  scope: ErasureScope,
  state: ErasureState,
  i: number,
): Generator<Step<ErasureState>> {
  const reader = nth(state.readers, i);
  const { postgres } = state;
  const change: Change = (does, then) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  if (reader.is === 'away') {
    yield change('arrives', (mine, draft) => {
      mine.is = 'asking';
      mine.due = draft.acknowledged;
      mine.server = draft.redis.run;
    });
  }
  if (reader.is !== 'asking') return;
  if (reader.found === null) {
    yield change('finds what Redis has', (mine, { redis: { generations, overlay } }) => {
      mine.found = { generations, overlay };
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
      draft.known = { ...heardNow(draft), server: mine.server };
    });
  } else if (reader.told === 'no answer') yield* unverifiedSteps(rules, state, reader, change);
  else yield* verifiedSteps(scope, state, reader, change);
}

/**
 * Steps of the readers' process in addition to the reader. One reader is enough, but the process also learns from other
 * reads.
 */
export function* processSteps(
  rules: ErasureRules,
  scope: ErasureScope,
  state: ErasureState,
): Generator<Step<ErasureState>> {
  const { flight, postgres } = state;
  if (flight !== null) {
    yield step(state, 'the live result is put into Redis', (draft) => {
      putEntry(draft, flight);
      draft.flight = null;
    });
  }
  if (!scope.runsOn) yield* otherReadSteps(rules, state);
  if (postgres.isDown) return;
  yield step(state, 'the process learns of erasures, but does not note the Redis server', (draft) => {
    const { erasures, deleted } = heardNow(draft);
    Object.assign(draft.known, { erasures, deleted });
  });
  if (scope.isLive && flight === null && !isErased(state)) {
    yield step(state, `another read infers live: label ${postgres.version}`, (draft) => {
      draft.flight = predictionNow(draft);
      draft.landed = draft.flight;
    });
  }
}

function* otherReadSteps(rules: ErasureRules, state: ErasureState): Generator<Step<ErasureState>> {
  const { other, postgres } = state;
  if (other === null) {
    yield step(state, `another read arrives, and sees run ${state.redis.run} of Redis`, (draft) => {
      draft.other = { server: draft.redis.run, heard: null };
    });
  } else if (other.heard === null && !postgres.isDown) {
    yield step(state, `that read is certified: ${postgres.erasures} erasures`, (draft) => {
      if (rules.seesServer === 'after') draft.other = { server: other.server, heard: heardNow(draft) };
      else notice(draft, heardNow(draft), other.server);
    });
  } else if (other.heard !== null) {
    yield step(state, `that read sees run ${state.redis.run} of Redis`, (draft) => {
      if (other.heard) notice(draft, other.heard, draft.redis.run);
    });
  }
}

function notice(draft: ErasureState, heard: Heard, server: number): void {
  draft.known = { ...heard, server };
  draft.other = null;
}

function heardNow({ postgres: { inForce, erasures, deleted } }: ErasureState): Heard {
  return { inForce, erasures, deleted };
}

function isErased({ postgres: { version, deleted } }: ErasureState): boolean {
  return deleted > 0 && version === deleted;
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
  const { rows, entry, version, isDown } = state.postgres;
  const { inForce } = told;
  const inRedis = found ? [found.generations[inForce], found.overlay] : [];
  const inPostgres = isDown ? [] : [rows[inForce], entry];
  for (const [i, stored] of [...inRedis, ...inPostgres].entries()) {
    if (!stored) continue;
    const generation = i % 2 === 0 ? inForce : null;
    const worth = worthOf({ label: stored.label, generation }, { ...told, generation: inForce });
    // A stale candidate is served, marked as stale, if live inference is late.
    if (worth !== 'fresh' && worth !== 'stale') continue;
    yield change(`answers, as ${worth}, with label ${stored.label}`, (mine, draft) => serve(mine, stored, draft));
  }
  if (!scope.isLive) return;
  const { landed, flight } = state;
  if (landed !== null && landed.label >= (told.deleted > 0 ? told.deleted + 1 : 0)) {
    yield change(`takes the landed result, with label ${landed.label}`, (mine, draft) => serve(mine, landed, draft));
  }
  if (isDown || flight !== null) return;
  if (isErased(state)) yield change('finds the user erased at its live statement: 404', end);
  else {
    yield change(`infers live: label ${version}`, (mine, draft) => {
      draft.flight = predictionNow(draft);
      draft.landed = draft.flight;
      serve(mine, draft.flight, draft);
    });
  }
}

function* unverifiedSteps(
  { unverified }: ErasureRules,
  { known, redis }: ErasureState,
  { found }: ErasureReader,
  change: Change,
): Generator<Step<ErasureState>> {
  yield change('answers 503', end);
  // The read asks Redis for its run id and its count after it has found the data.
  if (found === null || unverified === 'off' || known.server !== redis.run) return;
  const isCounting = unverified === 'server and count';
  if (isCounting && redis.erasures !== known.erasures) return;
  for (const stored of [found.generations[known.inForce], found.overlay]) {
    if (!stored || (isCounting && stored.label <= known.deleted)) continue;
    yield change(`answers, unverified, with label ${stored.label}`, (mine, draft) => serve(mine, stored, draft));
  }
}

/** Answers with a prediction, and checks I11. */
function serve(reader: ErasureReader, { era }: Prediction, draft: ErasureState): void {
  const { due } = reader;
  if (due.isErased) draft.broken = "I11: an answer, though the user's erasure was acknowledged before the read";
  else if (era < due.eras) draft.broken = 'I11: an answer from before an erasure that was acknowledged before the read';
  end(reader);
}

function end(reader: ErasureReader): void {
  Object.assign(reader, newErasureReader(), { is: 'answered' });
}
