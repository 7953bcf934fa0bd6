import { expect, test } from 'vitest';
import { findTable, type Relation } from './find-table.ts';

const relation = (schema: string, name: string, visible = schema === 'public'): Relation => ({
  schema,
  name,
  visible,
  readable: true,
});
const all = [
  relation('public', 'customers'),
  relation('public', 'Orders'),
  relation('shop', 'customer_features'),
  relation('public', 'twice'),
  relation('public', 'Twice'),
];

test.each([
  ['customers', 'public', 'customers'],
  ['CUSTOMERS', 'public', 'customers'],
  ['Orders', 'public', 'Orders'],
  ['orders', 'public', 'Orders'],
  ['"Orders"', 'public', 'Orders'],
  ['shop.customer_features', 'shop', 'customer_features'],
  ['"shop"."customer_features"', 'shop', 'customer_features'],
  ['Twice', 'public', 'Twice'],
  ['twice', 'public', 'twice'],
])('%s is %s.%s', (said, schema, name) => {
  expect(findTable(said, all)).toMatchObject({ found: { schema, name } });
});

test.each([
  ['custmers', 'did you mean customers?'],
  ['customer_features', 'write it with its schema: shop.customer_features'],
  ['shop.customer_feature', 'did you mean shop.customer_features?'],
  ['a.b.c', 'write it as name or schema.name'],
  ['nothing_alike', 'the tables and views are customers, Orders, shop.customer_features, twice, Twice'],
])('%s: %s', (said, remedy) => {
  expect(findTable(said, all)).toEqual({ remedy });
});

test('for a database without tables, the hint is to check the address', () => {
  expect(findTable('customers', [])).toEqual({
    remedy: expect.stringContaining('check its address (DATABASE_URL, or'),
  });
});
