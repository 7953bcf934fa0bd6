import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contextToken, parseContextToken } from './events.ts';

const history = fc.stringMatching(/^[0-9a-f]{16}$/);

describe('a context token', () => {
  it('decodes to its history and version, for every history and version', () => {
    fc.assert(
      fc.property(history, fc.maxSafeNat(), (name, version) => {
        expect(parseContextToken(contextToken(name, version))).toEqual({ history: name, version });
      }),
    );
  });

  it('has one spelling; other texts are rejected', () => {
    const whole = `${'a'.repeat(16)}.7`;
    for (const text of ['', '.', '7', whole.toUpperCase(), ` ${whole}`, `${whole}\n`, `${whole}.7`, `x${whole}`])
      expect([text, parseContextToken(text)]).toEqual([text, null]);
    for (const version of ['', '07', '-1', '+1', '1.5', '1e3', 'Infinity', '1'.repeat(17)])
      expect([version, parseContextToken(`${'a'.repeat(16)}.${version}`)]).toEqual([version, null]);
  });

  it('is not decoded from malformed text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parts = parseContextToken(text);
        if (parts) expect(contextToken(parts.history, parts.version)).toBe(text);
      }),
    );
  });
});
