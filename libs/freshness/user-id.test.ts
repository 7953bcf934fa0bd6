import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkUserId } from './user-id.ts';

describe('checkUserId', () => {
  it('accepts every 64-bit whole number in its canonical spelling', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (id) => {
        expect(checkUserId('int8', id.toString())).toEqual({ ok: true });
      }),
    );
  });

  it.each([
    ['042', '42'],
    ['+42', '42'],
    [' 42 ', '42'],
    ['-0', '0'],
    ['-007', '-7'],
  ])('rejects %j and names %j', (given, canonical) => {
    expect(checkUserId('int8', given)).toMatchObject({ ok: false, canonical });
  });

  it.each(['', 'abc', '1e3', '4.2', '9223372036854775808', '-9223372036854775809', '９', '1'.repeat(129)])(
    'rejects %j as a number, without naming another spelling',
    (given) => {
      const check = checkUserId('int8', given);
      expect(check).toMatchObject({ ok: false });
      expect(check).not.toHaveProperty('canonical');
    },
  );

  it.each(['9223372036854775808', '9'.repeat(20), '9'.repeat(40), '-99999999999999999999'])(
    'says that %j is too large, without naming another spelling',
    (given) => expect(checkUserId('int8', given)).toEqual({ ok: false, problem: 'the user id does not fit 64 bits' }),
  );

  it('names the lower-case spelling of a uuid', () => {
    const uuid = '6F9619FF-8B86-D011-B42D-00C04FC964FF';
    expect(checkUserId('uuid', uuid)).toMatchObject({ ok: false, canonical: uuid.toLowerCase() });
    expect(checkUserId('uuid', uuid.toLowerCase())).toEqual({ ok: true });
    expect(checkUserId('uuid', '{6f9619ff-8b86-d011-b42d-00c04fc964ff}')).toMatchObject({ ok: false });
  });

  it('names the composed spelling of a text', () => {
    expect(checkUserId('text', 'e\u0301')).toMatchObject({ ok: false, canonical: '\u00e9' });
    expect(checkUserId('text', '\u00e9')).toEqual({ ok: true });
  });

  it.each(['.', '..'])('rejects %j, which cannot be part of a URL path', (given) => {
    expect(checkUserId('text', given)).toEqual({
      ok: false,
      problem: 'the user id is . or .., which no URL path can carry',
    });
    expect(checkUserId('text', `${given}.a`)).toEqual({ ok: true });
  });

  it.each([['a\u0000b'], ['a\nb'], ['\u001b[31m'], ['\ud800'], ['é'.repeat(65)]])('rejects the text %j', (given) => {
    expect(checkUserId('text', given)).toMatchObject({ ok: false });
  });
});
