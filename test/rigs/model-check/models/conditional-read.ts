/**
 * A conditional read: a client has an answer with its ETag, and asks whether the answer is still current. A 304 means
 * that the read would get the same answer, including its source, which says whether it is fresh. So the tag contains
 * all facts that decide an answer. In N12 it lacks source and current context version, and a 304 then calls an old
 * answer fresh.
 *
 * One user, one stored prediction, one event. If live inference fails, the stored prediction is served as stale.
 */
import { type Model, type Step, step } from '../checker/model.ts';
import { isFreshUnder } from './worth.ts';

export interface TagRules {
  readonly tag: 'all that decides an answer' | 'the prediction alone';
}

export interface TagState {
  version: number;
  stored: number;
  /** The client's answer: whether it was called fresh, its label, and the version in its certificate. */
  held: { isFresh: boolean; label: number; version: number } | null;
  isAsking: boolean;
  due: number;
  asked: number;
  broken: string | null;
}

type Held = NonNullable<TagState['held']>;

export function conditionalRead(rules: TagRules, reads: number): Model<TagState> {
  return {
    name: 'conditional read',
    initial: { version: 0, stored: 0, held: null, isAsking: false, due: 0, asked: 0, broken: null },
    *steps(state) {
      if (state.broken !== null) return;
      if (state.version < 2) {
        yield step(state, `an event is acknowledged: version ${state.version + 1}`, (draft) => {
          draft.version++;
        });
      }
      if (!state.isAsking && state.asked < reads) {
        yield step(state, `the client asks${state.held ? ', and names its answer' : ''}`, (draft) => {
          draft.asked++;
          draft.isAsking = true;
          draft.due = draft.version;
        });
      }
      if (state.isAsking) yield* answerSteps(rules, state);
    },
    violation: (state) => state.broken,
  };
}

function* answerSteps(rules: TagRules, state: TagState): Generator<Step<TagState>> {
  const { version, stored } = state;
  const isFresh = isFreshUnder({ version, generation: 1 }, { label: stored, generation: 1 });
  const answers: { how: string; answer: Held }[] = [
    {
      how: isFresh ? 'the stored answer is fresh' : 'live fails; the stored answer is stale',
      answer: { isFresh, label: stored, version },
    },
  ];
  if (!isFresh) answers.push({ how: 'an answer is inferred live', answer: { isFresh: true, label: version, version } });
  for (const { how, answer } of answers) {
    const stands = state.held !== null && tagOf(rules, state.held) === tagOf(rules, answer);
    yield step(state, `${how}: ${stands ? '304' : '200'}`, (draft) => {
      draft.isAsking = false;
      if (!stands) draft.held = answer;
      if (answer.isFresh && answer.label > draft.stored) draft.stored = answer.label;
      const { held, due } = draft;
      if (held?.isFresh && held.label < due) {
        draft.broken = `I4: a 304 calls an answer from context ${held.label} fresh, although context ${due} was acknowledged`;
      }
    });
  }
}

function tagOf({ tag }: TagRules, { isFresh, label, version }: Held): string {
  return tag === 'the prediction alone' ? String(label) : `${label} ${isFresh} ${version}`;
}
