/** Computes a prediction and stores it in Redis: for a partial run's worker, a re-scoring, or a read's flight. */
import { nth } from '../checker/model.ts';
import type { ReadRules } from './certified-read-rules.ts';
import { isBefore, type Prediction, type State } from './certified-read-state.ts';

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
  isDemanded = who === 'worker',
): Generator<Reading> {
  const { context, version } = state.postgres;
  const time = (draft: State) => {
    if (rules.watchesOrder) return ++draft.clock;
    if (rules.times === null || rules.times === 'at completion') return 0;
    // A clock that is two changes ahead.
    return tick(rules, draft) + (rules.times === 'at read, worker ahead' && who === 'worker' ? 2 : 0);
  };
  const made = (draft: State, label: number, from: number): Prediction => {
    if (label > from && rules.watchesLabels)
      draft.broken = `I1: a prediction computed from context ${from} has the label ${label}`;
    return { label, from, isGeneration: false, time: time(draft), isDemanded };
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

/** Keeps an entry in Postgres' rows, unless the rows have a newer one. The certificate still names a demanded entry. */
export function keepRow({ postgres }: State, entry: Prediction | null): void {
  if (entry === null || !isNewer(entry, postgres.entry)) return;
  postgres.entry = { ...entry, isDemanded: entry.isDemanded || postgres.entry?.isDemanded === true };
}

function isNewer(one: Prediction, other: Prediction | null): boolean {
  return other === null || isBefore(other, one);
}

/** Notes a demanded answer: no later read may return an older one. */
export function note(draft: State, { label, time, isDemanded }: Prediction): void {
  if (isDemanded && isBefore(draft.seen, { label, time })) draft.seen = { label, time };
}

export function tick(rules: ReadRules, draft: State): number {
  return rules.times === null ? 0 : ++draft.clock;
}

export function serverName({ redis }: State, server: number): string {
  return redis.length === 1 ? 'Redis' : `the ${server === 0 ? 'first' : 'second'} Redis`;
}
