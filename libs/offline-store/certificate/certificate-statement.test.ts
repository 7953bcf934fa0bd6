import { expect, test } from 'vitest';
import { certificateOf, NO_ARMS } from './certificate-statement.ts';

test('a predictor whose name every object has is touched by its own events alone', () => {
  const users = JSON.stringify([['7', 3, 0, { visits: 2 }]]);
  const certificate = certificateOf(['h', 1, 1, null, users], NO_ARMS);
  expect(certificate.user('7', 'constructor')).toEqual({ version: 3, touched: 0, deletedVersion: 0 });
  expect(certificate.user('7', 'visits').touched).toBe(2);
});
