/** Generates texts that have broken services before, and texts that are nearly right. */
import fc from 'fast-check';

const ODD = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\r\nX: y',
  '\u001b[2J',
  '__proto__',
  'constructor',
  "'; drop table counts; --",
  '*1\r\n$8\r\nFLUSHALL\r\n',
  '$'.concat('{jndi:ldap://x}'),
  '../../etc/passwd',
  '..',
  '.',
  '%',
  '%00',
  '%2e%2e%2f',
  '-0',
  '1e3',
  'NaN',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '9'.repeat(400),
  'a'.repeat(3_000),
  '٢',
  '２',
  'e\u0301',
  '\u212a',
  '\u202e1',
  '\ufeff1',
  '😀'.repeat(40),
  '\ud800',
];

export function oddTexts(): fc.Arbitrary<string> {
  return fc.constantFrom(...ODD);
}

/** Generates any text. */
export function wildTexts(): fc.Arbitrary<string> {
  return fc.oneof(oddTexts(), fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 20 }));
}

/** Generates the text with a change in one place. */
export function nearly(text: string): fc.Arbitrary<string> {
  return fc.tuple(fc.nat(Math.max(0, text.length)), wildTexts(), fc.nat(2)).map(([at, other, taken]) => {
    return text.slice(0, at) + other + text.slice(at + taken);
  });
}
