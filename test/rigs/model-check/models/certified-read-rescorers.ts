/**
 * Re-scoring, in every order of its steps. The relay of events names the user in a queue, some time after the commit.
 * An entry may be lost at any moment, and is removed if a read came first. A re-scorer reads features and version in
 * one statement and infers. It stores the result in Redis and in Postgres' rows in any order, or in one of them, or in
 * neither. A worker that is killed loses its queue. Re-scoring certifies no answer and answers no read.
 */
import { nth, type Step, step } from '../checker/model.ts';
import { keepRow, put, readings, serverName } from './certified-read-computing.ts';
import type { ReadRules } from './certified-read-rules.ts';
import { newRescorer, type Rescorer, type State } from './certified-read-state.ts';

type Steps = Generator<Step<State>>;

export function* rescorerSteps(rules: ReadRules, state: State): Steps {
  const { rescorers, queued, events } = state;
  if (rescorers.every(({ is }) => is === 'done')) return;
  for (const [i, { is, context }] of events.entries()) {
    if (is === 'unsent' || is === 'open' || context <= queued) continue;
    yield step(state, `the relay names the user in the queue, at version ${context} of event ${i + 1}`, (draft) => {
      draft.queued = context;
    });
  }
  if (queued > 0) {
    yield step(state, 'the user leaves the queue: a read came first, or the entry is lost', (draft) => {
      draft.queued = 0;
    });
  }
  for (const [i, rescorer] of rescorers.entries()) yield* stepsOf(rules, state, rescorer, i);
}

function* stepsOf(rules: ReadRules, state: State, rescorer: Rescorer, i: number): Steps {
  const change = (does: string, then: (rescorer: Rescorer, draft: State) => void) =>
    step(state, `re-scorer ${i + 1}: ${does}`, (draft) => then(nth(draft.rescorers, i), draft));
  const { is, isInRedis, isInRows } = rescorer;
  if (is === 'idle' && state.queued > 0) {
    yield change(`takes the user at version ${state.queued}`, (mine, draft) => {
      mine.is = 'asked';
      mine.named = draft.queued;
      draft.queued = 0;
    });
  }
  if (is === 'asked' || is === 'reading') {
    for (const read of readings(rules, state, rescorer.prediction, 'rescorer')) {
      yield change(read.does, (mine, draft) => {
        mine.prediction = read.take(draft);
        mine.is = read.isWhole ? 'scored' : 'reading';
        if (rules.rescoredLabel === 'of its features') mine.named = 0;
      });
    }
  }
  if (is !== 'idle' && is !== 'done') {
    yield change('ends with its process, or keeps no more', (mine) => {
      Object.assign(mine, newRescorer(), { is: 'done' });
    });
  }
  if (is !== 'scored') return;
  if (!isInRedis) {
    for (const server of state.redis.keys()) {
      yield change(`puts its result into ${serverName(state, server)}`, (mine, draft) => {
        label(rules, mine, draft);
        put(rules, draft, server, mine.prediction);
        mine.isInRedis = true;
      });
    }
  }
  if (!isInRows) {
    yield change("keeps its result in Postgres' rows", (mine, draft) => {
      label(rules, mine, draft);
      keepRow(draft, mine.prediction);
      mine.isInRows = true;
    });
  }
}

function label({ rescoredLabel }: ReadRules, { prediction, named }: Rescorer, { queued }: State): void {
  if (prediction && rescoredLabel === 'of the queue') prediction.label = Math.max(named, queued);
}
