import { expect, test } from 'vitest';
import { scanSteps } from './check-predictor.ts';

const PLAN = `Append  (cost=0.15..264.88 rows=2 width=380)
  ->  Nested Loop Left Join  (cost=0.15..264.86 rows=1 width=179)
        ->  Seq Scan on customers  (cost=0.00..256.64 rows=1 width=127)
              Disabled: true
              Filter: (customer_id = 'a'::text)
        ->  Index Scan using user_contexts_pkey on user_contexts c  (cost=0.15..8.17 rows=1 width=72)
              Index Cond: (user_id = (customers.customer_id)::text)
  ->  Seq Scan on "My customers" m  (cost=0.00..0.01 rows=1 width=581)`;

test('shows only the step that reads the relation, with its filter', () => {
  expect(scanSteps(PLAN, ['customers'])).toBe(
    [
      'Seq Scan on customers  (cost=0.00..256.64 rows=1 width=127)',
      '  Disabled: true',
      "  Filter: (customer_id = 'a'::text)",
    ].join('\n'),
  );
});

test('finds a name that must be quoted, but not a part of another name', () => {
  expect(scanSteps(PLAN, ['My customers'])).toContain('"My customers"');
  expect(scanSteps(PLAN, ['contexts'])).toBe('');
});
