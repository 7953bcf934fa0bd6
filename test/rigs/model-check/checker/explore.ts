/**
 * Visits every state that a model can reach in the order of distance, so that the trace to a violation is the shortest.
 * It does not sample: without a violation and within `maxStates`, it has explored all interleavings of the model.
 */
import type { Model } from './model.ts';
import { createStateSet, widened } from './state-set.ts';

export interface Violation {
  /** The broken invariant, and how it is broken. */
  readonly what: string;
  /** The steps from the initial state, one per line. */
  readonly trace: readonly string[];
}

export interface Exploration {
  readonly model: string;
  /** The number of different states. Interchangeable states count as one. */
  readonly states: number;
  readonly transitions: number;
  /** The length of the longest of the shortest traces to a state. */
  readonly depth: number;
  /** CPU seconds of this thread. */
  readonly seconds: number;
  readonly violation: Violation | null;
  /** Whether all states were visited. False if a violation or the limit ended the exploration. */
  readonly isComplete: boolean;
}

export interface ExploreOptions {
  readonly maxStates?: number;
}

export function explore<S>(model: Model<S>, { maxStates = 40_000_000 }: ExploreOptions = {}): Exploration {
  const startedAt = process.cpuUsage();
  const met = createStateSet();
  const way = createWay();
  const canonical = (state: S) => model.canonical?.(state) ?? state;
  // States are compared in canonical form but stored unchanged, so that a worker keeps its number in a trace.
  let frontier: S[] = [model.initial];
  let first = met.place(canonical(model.initial));
  let transitions = 0;
  let depth = 0;

  const result = (violation: Violation | null, isComplete: boolean): Exploration => {
    const { user, system } = process.cpuUsage(startedAt);
    return {
      ...{ model: model.name, states: met.size, transitions, depth, violation, isComplete },
      seconds: (user + system) / 1e6,
    };
  };
  const broken = (place: number, what: string) => result({ what, trace: retrace(model, way.to(place)) }, false);

  while (frontier.length > 0) {
    const next: S[] = [];
    const nextFirst = met.size;
    for (const [i, state] of frontier.entries()) {
      let choice = 0;
      for (const { state: reached } of model.steps(state)) {
        transitions++;
        const known = met.size;
        const place = met.place(canonical(reached));
        if (model.isSettled) way.link(first + i, place);
        if (place === known) {
          way.note(place, first + i, choice);
          next.push(reached);
          const what = model.violation(reached);
          if (what !== null) return broken(place, what);
        }
        choice++;
      }
      if (met.size > maxStates) return result(null, false);
    }
    if (model.isSettled) for (const [i, state] of frontier.entries()) if (model.isSettled(state)) way.settle(first + i);
    frontier = next;
    first = nextFirst;
    if (next.length > 0) depth++;
  }
  const stuck = model.isSettled ? way.findStuck(met.size) : null;
  return stuck === null ? result(null, true) : broken(stuck, 'stuck: no settled state can be reached from this state');
}

/** Records how each state was first reached and, if requested, the links between states. */
function createWay() {
  let parents = new Uint32Array(1 << 16);
  let choices = new Uint32Array(1 << 16);
  let links = new Uint32Array(1 << 16);
  let linked = 0;
  const settled: number[] = [];

  return {
    note(place: number, parent: number, choice: number): void {
      if (place >= parents.length) {
        parents = widened(parents);
        choices = widened(choices);
      }
      parents[place] = parent;
      choices[place] = choice;
    },
    link(from: number, to: number): void {
      if (linked + 2 > links.length) links = widened(links);
      links[linked++] = from;
      links[linked++] = to;
    },
    settle: (place: number) => void settled.push(place),
    /** Returns which step was taken in each state of the trace. */
    to(place: number): number[] {
      const taken: number[] = [];
      for (let at = place; at !== 0; at = parents[at] as number) taken.push(choices[at] as number);
      return taken.reverse();
    },
    /** Finds the first state from which no settled state is reached, by a walk against the links. */
    findStuck: (size: number) => firstUnreached(size, links.subarray(0, linked), settled),
  };
}

function firstUnreached(size: number, links: Uint32Array, settled: readonly number[]): number | null {
  // The links into each state, stored one after the other.
  const starts = new Uint32Array(size + 1);
  for (let i = 1; i < links.length; i += 2) raise(starts, (links[i] as number) + 1, 1);
  for (let place = 0; place < size; place++) raise(starts, place + 1, starts[place] as number);
  const into = new Uint32Array(links.length / 2);
  const filled = starts.slice();
  for (let i = 0; i < links.length; i += 2) into[raise(filled, links[i + 1] as number, 1)] = links[i] as number;
  const reaches = new Uint8Array(size);
  const open = [...settled];
  for (const place of open) reaches[place] = 1;
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    for (let i = starts[place] as number; i < (starts[place + 1] as number); i++) {
      const from = into[i] as number;
      if (reaches[from] === 1) continue;
      reaches[from] = 1;
      open.push(from);
    }
  }
  const stuck = reaches.indexOf(0);
  return stuck < 0 ? null : stuck;
}

/** Raises a number, and returns its previous value. */
function raise(numbers: Uint32Array, at: number, by: number): number {
  const before = numbers[at] as number;
  numbers[at] = before + by;
  return before;
}

/** Returns the sentences of the steps in a trace. */
function retrace<S>(model: Model<S>, taken: readonly number[]): string[] {
  let { initial: state } = model;
  return taken.map((choice) => {
    let at = 0;
    for (const { does, state: reached } of model.steps(state)) {
      if (at++ !== choice) continue;
      state = reached;
      return does;
    }
    throw new Error(`${model.name} gives different steps for the same state; make its steps depend only on the state`);
  });
}
