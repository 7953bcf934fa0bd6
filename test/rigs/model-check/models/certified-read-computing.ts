/** Computes a prediction and stores it in Redis: for a partial run's worker, a re-scoring, or a read's flight. */
import { nth } from '../checker/model.ts';
import type { ReadRules } from './certified-read-rules.ts';
import type { Prediction, State } from './certified-read-state.ts';

/** A step of reading features and version. */
export interface Reading {
  readonly does: string;
  readonly isWhole: boolean;
  take(draft: State): Prediction;
}

/** I1: a label is the version in the same row and the same statement as the features. */
export function* readings(
  rules: ReadRules,
  state: State,
  begun: Prediction | null,
  who: 'worker' | 'rescorer' | 'flight',
): Generator<Reading> {
  const { context, version } = state.postgres;
  const time = (draft: State) => {
    if (rules.times === null || rules.times === 'at completion') return 0;
    // A clock that is two changes ahead.
    return tick(rules, draft) + (rules.times === 'at read, worker ahead' && who === 'worker' ? 2 : 0);
  };
  const made = (draft: State, label: number, from: number): Prediction => {
    if (label > from && rules.watchesLabels)
      draft.broken = `I1: a prediction computed from context ${from} has the label ${label}`;
    return { label, from, isGeneration: false, time: time(draft) };
  };
  if (rules.label === 'same statement') {
    const does = `reads features and version ${version} in one statement`;
    yield { does, isWhole: true, take: (draft) => made(draft, version, context) };
  } else if (rules.label === 'context first') {
    if (begun)
      yield { does: `reads version ${version}`, isWhole: true, take: (draft) => made(draft, version, begun.from) };
    else
      yield { does: `reads features of context ${context}`, isWhole: false, take: (draft) => made(draft, 0, context) };
  } else if (begun) {
    yield {
      does: `reads features of context ${context}`,
      isWhole: true,
      take: (draft) => made(draft, begun.label, context),
    };
  } else {
    const hint = nth(state.redis, 0).hint;
    yield { does: `reads version ${hint} from Redis`, isWhole: false, take: (draft) => made(draft, hint, hint) };
  }
}

/** I5: only a newer entry replaces an entry, and an entry below the hint is not stored. This rule only saves work. */
export function put(rules: ReadRules, draft: State, server: number, prediction: Prediction | null): void {
  const redis = nth(draft.redis, server);
  if (prediction === null) return;
  if (rules.put === 'set') redis.overlay = { ...prediction };
  else if (redis.hint <= prediction.label && isNewer(prediction, redis.overlay)) redis.overlay = { ...prediction };
}

export function isNewer(one: Prediction | null, other: Prediction | null): boolean {
  return one !== null && (other === null || one.label > other.label);
}

export function tick(rules: ReadRules, draft: State): number {
  return rules.times === null ? 0 : ++draft.clock;
}

export function serverName({ redis }: State, server: number): string {
  return redis.length === 1 ? 'Redis' : `the ${server === 0 ? 'first' : 'second'} Redis`;
}
