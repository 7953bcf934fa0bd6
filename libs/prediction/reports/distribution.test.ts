import { describe, expect, it } from 'vitest';
import { ClassTable, classEnds, classOf } from './distribution.ts';

const countsOf = (ends: Float64Array, values: readonly number[]) => {
  const counts = new Float64Array(ends.length + 1);
  for (const value of values) counts.set([(counts.at(classOf(ends, value)) ?? 0) + 1], classOf(ends, value));
  return counts;
};

describe('classes', () => {
  const values = Array.from({ length: 200 }, (_, i) => i);

  it('each hold a twentieth of the currently served users', () => {
    const ends = classEnds(Float64Array.from(values));
    expect([...countsOf(ends, values)]).toEqual(Array.from({ length: 20 }, () => 10));
  });

  it('are fewer if users have equal values, with one class below and one above', () => {
    const ends = classEnds(Float64Array.from([0, 0, 0, 1]));
    expect([...countsOf(ends, [-1, 0, 0, 0.5, 1, 2])]).toEqual([1, 2, 2, 1]);
  });

  it('detect a shift away from a single value in both directions', () => {
    const ends = classEnds(Float64Array.from([5, 5, 5]));
    for (const now of [4, 6]) {
      const table = new ClassTable(ends);
      for (let i = 0; i < 100; i++) table.add(true, 5, true, now);
      expect(table.index().psi).toBeGreaterThan(5);
      expect(table.index().psiLower).toBeGreaterThan(0.25);
    }
  });

  it('are one class if there are no users', () => {
    expect(classEnds(new Float64Array())).toHaveLength(0);
    expect(classOf(new Float64Array(), 3)).toBe(0);
  });
});

/** Returns the index of two generations of other users, from values that are their classes. */
const psi = (before: readonly number[], now: readonly number[]) => {
  const table = new ClassTable(
    Float64Array.from(before.slice(1), (_, i) => i),
    before,
  );
  now.forEach((users, value) => {
    for (let i = 0; i < users; i++) table.add(false, 0, true, value);
  });
  return table.index();
};

describe('PSI', () => {
  it('is 0 for equal shares, whatever the counts', () => {
    expect(psi([10, 20], [10, 20])).toEqual({ psi: 0, psiLower: 0 });
    expect(psi([1_000, 2_000], [100, 200])).toEqual({ psi: 0, psiLower: 0 });
  });

  it('follows the definition', () => {
    // (0.4 - 0.5) ln(0.4 / 0.5) + (0.6 - 0.5) ln(0.6 / 0.5), by hand. The added half user is negligible in 200,000, and
    // chance adds 1/200,000 for each generation.
    const { psi: index, psiLower } = psi([1e5, 1e5], [8e4, 1.2e5]);
    expect(index).toBeCloseTo(0.0405465 - 1e-5, 5);
    expect(psiLower).toBeGreaterThan(0.037);
    expect(psiLower).toBeLessThan(index);
  });

  it('is 0 for equal shares, whether users keep their classes or not', () => {
    const values = Array.from({ length: 400 }, (_, i) => i % 20);
    const ends = classEnds(Float64Array.from(values));
    const [equal, swapped] = [new ClassTable(ends), new ClassTable(ends)];
    for (const value of values) {
      equal.add(true, value, true, value);
      // The shares stay the same, but all users change their class.
      swapped.add(true, value, true, 19 - value);
    }
    expect(equal.index()).toEqual({ psi: 0, psiLower: 0 });
    expect(swapped.index()).toEqual({ psi: 0, psiLower: 0 });
  });

  it('counts users who are known by their class alone as other users', () => {
    const table = new ClassTable(Float64Array.from([0.5]));
    for (let i = 0; i < 100; i++) table.add(true, i % 2, true, (i + 1) % 2);
    const { ends, counts } = table.before();
    expect({ ends, counts }).toEqual({ ends: [0.5], counts: [50, 50] });
    expect(new ClassTable(Float64Array.from(ends), counts).before()).toEqual({ ends, counts });
  });

  it('is finite if a class is empty, and zero without users', () => {
    expect(psi([100, 0], [0, 100]).psi).toBeGreaterThan(4);
    expect(psi([0, 0], [1, 2])).toEqual({ psi: 0, psiLower: 0 });
  });
});
