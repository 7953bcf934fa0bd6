/** Compares two generations as the store does, from maps of users to outputs, for tests. */
import { encodeOutputs } from '@tandem/freshness/outputs';
import type { OutputField } from '@tandem/freshness/predictor';
import { type Comparison, type ComparisonOptions, createComparison } from './compare-generations.ts';

export const SCORE: OutputField = { name: 'score', output: 'p', type: 'float32', width: null, index: 0 };

/** Returns the bytes of a user's outputs, from a value for each field in order. */
export function outputsOf(
  fields: readonly OutputField[],
  values: readonly (number | string | readonly number[])[],
): Buffer {
  const tensors = Object.fromEntries(
    fields.map(({ output, type }, i) => {
      const value = [values[i] ?? 0].flat();
      const data = type === 'string' ? value.map(String) : value.map(Number);
      return [output, { data, width: value.length }];
    }),
  );
  return encodeOutputs(fields, tensors, 0);
}

export interface Side {
  readonly fields: readonly OutputField[];
  readonly users: ReadonlyMap<string, Buffer>;
}

/** Returns a generation with one score per user. */
export function scores(users: Iterable<readonly [string, number]>): Side {
  return { fields: [SCORE], users: new Map([...users].map(([id, score]) => [id, outputsOf([SCORE], [score])])) };
}

type Options = Partial<Pick<ComparisonOptions, 'decision' | 'segments' | 'first'>> & {
  /** Returns the segment values of a user. */
  readonly valuesOf?: (userId: string) => (string | null)[];
};

export function compareSides(before: Side, now: Side, options: Options = {}): Comparison {
  const { decision = null, segments = [], first = [], valuesOf = () => [] } = options;
  const sample = [...before.users.values()];
  const comparison = createComparison({ before: before.fields, now: now.fields, sample, first, decision, segments });
  for (const userId of new Set([...before.users.keys(), ...now.users.keys()])) {
    const parts = [Buffer.from(userId), before.users.get(userId), now.users.get(userId)];
    let at = 0;
    const places = parts.map((part) => {
      const start = part ? at : -1;
      at += part?.length ?? 0;
      return { start, end: at };
    });
    const [id, was, is] = places;
    if (!id || !was || !is) throw new Error('a part is missing');
    const bytes = Buffer.concat(parts.filter((part) => part !== undefined));
    comparison.add({ bytes, userId: id, before: was, now: is, segments: valuesOf(userId) });
  }
  return comparison;
}
