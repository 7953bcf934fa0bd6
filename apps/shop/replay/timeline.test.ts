import { createRandom } from '@tandem/experiment/distributions/random';
import { describe, expect, it } from 'vitest';
import { addDays } from '../purchases-after.ts';
import { daysBetween, planDay } from './timeline.ts';

const purchase = { customerId: '7', day: '1998-01-02', quantity: 1, amount: '9.99' };

describe('planDay', () => {
  it('reads every customer once and makes every purchase, in an order that depends on the seed', () => {
    const customers = Array.from({ length: 1_000 }, (_, i) => `${i}`);
    const plan = (seed: number) => planDay([purchase, purchase], customers, createRandom(seed), 300);
    const happenings = plan(1);
    const read = happenings.flatMap((one) => (one.kind === 'reads' ? one.customerIds : []));
    expect(read.toSorted()).toEqual(customers.toSorted());
    expect(happenings.filter((one) => one.kind === 'purchase')).toHaveLength(2);
    expect(happenings.every((one) => one.kind === 'purchase' || one.customerIds.length <= 300)).toBe(true);
    expect(plan(1)).toEqual(happenings);
    expect(plan(2)).not.toEqual(happenings);
  });
});

describe('daysBetween', () => {
  it('counts calendar days, even over the end of February', () => {
    expect(daysBetween('1998-02-27', '1998-03-02')).toEqual(['1998-02-27', '1998-02-28', '1998-03-01', '1998-03-02']);
    expect(addDays('1998-06-30', -28)).toBe('1998-06-02');
  });
});
