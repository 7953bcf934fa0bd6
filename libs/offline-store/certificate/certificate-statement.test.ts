import { expect, test } from 'vitest';
import { certificateOf, NO_ARMS } from './certificate-statement.ts';

const users = JSON.stringify([
  [1, 3, 0, 2],
  [2, 3, 0, 0],
]);
const asked = { userIds: ['7', '7', '8'], predictors: ['visits', 'constructor', 'visits'] };

test('a certificate has the concerning version of each requested predictor, and none of other predictors', () => {
  const certificate = certificateOf(['h', 1, 1, null, users, 1], NO_ARMS, asked);
  expect(certificate.user('7', 'constructor')).toEqual({ version: 3, touched: 0, deletedVersion: 0 });
  expect(certificate.user('7', 'visits').touched).toBe(2);
  expect(certificate.user('8', 'visits')).toEqual({ version: 0, touched: 0, deletedVersion: 0 });
  expect(() => certificate.user('7', 'other')).toThrow('not asked about predictor other');
});

test('until all contexts record the concerning events of a predictor, every event of a user concerns it', () => {
  const arms = { ...NO_ARMS, pending: new Set(['visits']) };
  const certificate = certificateOf(['h', 1, 1, null, users, 1], arms, asked);
  expect([certificate.user('7', 'visits').touched, certificate.user('7', 'constructor').touched]).toEqual([3, 0]);
});
