import { isTandemError } from '@tandem/freshness/errors';
import { expect, test } from 'vitest';
import { chooseKeyMode } from './choose-mode.ts';

const pepper = 'p'.repeat(32);

test.each([
  ['auto', true, null, null],
  ['auto', true, pepper, null],
  ['auto', false, pepper, { pepper }],
  ['off', false, null, null],
  ['off', true, pepper, null],
  ['required', true, pepper, { pepper }],
  ['required', false, pepper, { pepper }],
] as const)('API_KEYS=%s, local: %s', (mode, isLocal, given, chosen) => {
  expect(chooseKeyMode({ mode, pepper: given, publishedOn: '0.0.0.0' }, isLocal)).toEqual(chosen);
});

test.each([
  ['auto', '0.0.0.0 is not a loopback address'],
  ['required', 'API_KEYS=required'],
] as const)('API_KEYS=%s without a pepper is rejected with the reason', (mode, why) => {
  const choose = () => chooseKeyMode({ mode, pepper: null, publishedOn: '0.0.0.0' }, false);
  expect(choose).toThrow(expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining(why) }));
  try {
    choose();
  } catch (error) {
    expect(isTandemError(error) && error.remedy).toContain('API_KEY_PEPPER_FILE');
  }
});
