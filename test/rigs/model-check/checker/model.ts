/**
 * A model is a state and the steps that any process can take from it. A step is atomic: a transaction's commit, one statement,
 * one command of Redis, or the work of a process between two waits.
 *
 * States are plain data (objects, arrays, small whole numbers, booleans, strings, null), always of the same shape, so
 * that the checker can copy and compare them without the model's help.
 */

export interface Step<S> {
  /** The step as a sentence for a trace. */
  readonly does: string;
  readonly state: S;
}

export interface Model<S> {
  readonly name: string;
  readonly initial: S;
  steps(state: S): Iterable<Step<S>>;
  /** Returns the broken invariant and how it is broken, or null. */
  violation(state: S): string | null;
  /** Returns a copy with interchangeable parts (two workers, say) in a fixed order, so that equal states are visited once. */
  canonical?(state: S): S;
  /** If given, a state from which no settled state can be reached is a violation, because the model is stuck. */
  isSettled?(state: S): boolean;
}

/** Makes a step: a changed copy of the state. */
export function step<S>(state: S, does: string, change: (draft: S) => void): Step<S> {
  const draft = copy(state);
  change(draft);
  return { does, state: draft };
}

export function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  // A spread copies the object's hidden class, which is cheaper than adding the properties one by one.
  const made = { ...value } as Record<string, unknown>;
  for (const name in made) {
    const inner = made[name];
    if (typeof inner === 'object' && inner !== null) made[name] = copy(inner);
  }
  return made as T;
}

/** Sorts interchangeable parts in a fixed, arbitrary order. */
export function sorted<T>(items: readonly T[]): T[] {
  if (items.length < 2) return [...items];
  return items
    .map((item) => ({ item, key: JSON.stringify(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item);
}

/** Returns the item at an index. Throws if there is none. */
export function nth<T>(items: readonly T[], i: number): T {
  const item = items[i];
  if (item === undefined) throw new RangeError(`there is no item ${i} of ${items.length}`);
  return item;
}
