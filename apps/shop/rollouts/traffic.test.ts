import { createRandom } from '@tandem/experiment/distributions/random';
import { describe, expect, it } from 'vitest';
import { groupCustomers } from './traffic.ts';

const customers = Array.from({ length: 2_357 }, (_, i) => `${i + 1}`);

describe('groupCustomers', () => {
  it('has every customer once, in groups of equal size, in an order that depends on the seed', () => {
    const groups = groupCustomers(customers, createRandom(1), 10);
    expect(groups.flat().toSorted()).toEqual(customers.toSorted());
    expect(new Set(groups.map(({ length }) => length))).toEqual(new Set([235, 236]));
    expect(groupCustomers(customers, createRandom(1), 10)).toEqual(groups);
    expect(groupCustomers(customers, createRandom(2), 10)).not.toEqual(groups);
  });
});
