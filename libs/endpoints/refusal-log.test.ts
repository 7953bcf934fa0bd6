import { expect, test } from 'vitest';
import { createRefusalLog } from './refusal-log.ts';

function start({ logShare = 0 } = {}) {
  const at = { ms: 0 };
  const isLogged = createRefusalLog({ logShare, random: () => 0.5, clock: () => at.ms });
  const logged = (times: number, ...refusal: Parameters<typeof isLogged>) =>
    Array.from({ length: times }, () => isLogged(...refusal)).filter(Boolean).length;
  return { at, logged };
}

test('logs each key above its limit once a minute', () => {
  const { at, logged } = start();
  expect([logged(100, 'rate_limited', 'one'), logged(100, 'rate_limited', 'other')]).toEqual([1, 1]);
  at.ms = 59_999;
  expect(logged(100, 'rate_limited', 'one')).toBe(0);
  at.ms = 60_000;
  expect(logged(100, 'rate_limited', 'one')).toBe(1);
});

test('logs ten rejections of strangers a second', () => {
  const { at, logged } = start();
  expect([logged(100, 'unauthorized', undefined), logged(100, 'forbidden', undefined)]).toEqual([10, 10]);
  at.ms = 500;
  expect(logged(100, 'unauthorized', 'one')).toBe(5);
});

test('logs a share of further rejections and of overloads, and every other rejection', () => {
  const none = start();
  expect([none.logged(9, 'overloaded', 'one'), none.logged(99, 'malformed_request', undefined)]).toEqual([0, 99]);
  const all = start({ logShare: 1 });
  expect([all.logged(99, 'overloaded', undefined), all.logged(99, 'unauthorized', undefined)]).toEqual([99, 99]);
});
