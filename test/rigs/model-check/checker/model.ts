/**
 * What a model is: a state, and the steps that anybody may take from it. One step is what nothing can happen in the
 * middle of: a transaction's commit, one statement, one command of Redis, what a process does between two waits.
 *
 * States are plain data (objects, arrays, small whole numbers, booleans, strings, null), always of the same shape, so
 * that they can be copied and told apart without the model's help.
 */

export interface Step<S> {
  /** What happens, as a sentence for a trace. */
  readonly does: string;
  readonly state: S;
}

export interface Model<S> {
  readonly name: string;
  readonly initial: S;
  steps(state: S): Iterable<Step<S>>;
  /** The broken invariant and how, or null. */
  violation(state: S): string | null;
  /** May exchange what is interchangeable (two workers, say) in a copy of its own, so that equals are met once. */
  canonical?(state: S): S;
  /** Where it is given, a state from which no such state can be reached is a violation: something is stuck. */
  isSettled?(state: S): boolean;
}

/** A step: a copy of the state, changed. */
export function step<S>(state: S, does: string, change: (draft: S) => void): Step<S> {
  const draft = copy(state);
  change(draft);
  return { does, state: draft };
}

export function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  // A spread clones the object's hidden class, which is cheaper than adding one name after the other.
  const made = { ...value } as Record<string, unknown>;
  for (const name in made) {
    const inner = made[name];
    if (typeof inner === 'object' && inner !== null) made[name] = copy(inner);
  }
  return made as T;
}

/** Sorts what is interchangeable; by any order, as long as it is always the same. */
export function sorted<T>(items: readonly T[]): T[] {
  if (items.length < 2) return [...items];
  return items
    .map((item) => ({ item, key: JSON.stringify(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item);
}

/** An item that is there. */
export function nth<T>(items: readonly T[], i: number): T {
  const item = items[i];
  if (item === undefined) throw new RangeError(`there is no item ${i} of ${items.length}`);
  return item;
}
