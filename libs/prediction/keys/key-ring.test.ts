import { beforeEach, describe, expect, it } from 'vitest';
import { digestOf, newKeyId, pepperId, type Scope, writeKey } from './api-key.ts';
import { type HeldKey, KeyRing, type Refusal, type StoredKey } from './key-ring.ts';

const PEPPER = 'a pepper of more than thirty-two characters';
/** The database's clock differs much from this process's clock. */
const DATABASE_AT = 1_800_000_000_000;

let now: number;
let ring: KeyRing;
let id: string;
let text: string;
beforeEach(() => {
  now = 500;
  ring = new KeyRing({ pepper: PEPPER, clock: () => now, believedForMs: 60_000 });
  id = newKeyId();
  text = writeKey('live', id);
});

function stored(changes: Partial<StoredKey> = {}): StoredKey {
  return {
    id,
    name: 'shop',
    scopes: ['predictions:read'],
    secrets: [{ digest: digestOf(text, PEPPER), until: null }],
    pepperId: pepperId(PEPPER),
    expiresAt: null,
    revokedAt: null,
    requestsPerSecond: null,
    livePerSecond: null,
    ...changes,
  };
}

function load(...keys: readonly StoredKey[]): void {
  ring.load({ version: String(now), now: DATABASE_AT + now, keys }, now);
}

const nameOf = (found: HeldKey | Refusal) => ('why' in found ? undefined : found.name);
const whyOf = (found: HeldKey | Refusal) => ('why' in found ? found.why : undefined);

describe('KeyRing', () => {
  it('knows a key by its text, again and again, and no other text', () => {
    load(stored());
    for (let time = 0; time < 3; time++) expect(nameOf(ring.find(text))).toBe('shop');
    expect(whyOf(ring.find(writeKey('live', id)))).toBe('wrong secret');
    expect(whyOf(ring.find(writeKey('live', newKeyId())))).toBe('unknown');
    expect(whyOf(ring.find(''))).toBe('malformed');
    expect(whyOf(ring.find(`${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`))).toBe('malformed');
    expect(nameOf(ring.find(text))).toBe('shop');
  });

  it('knows no key under another pepper', () => {
    load(stored({ secrets: [{ digest: digestOf(text, `${PEPPER}!`), until: null }] }));
    expect(whyOf(ring.find(text))).toBe('wrong secret');
  });

  it('rejects a revoked key from the next load on, even if it has just accepted it', () => {
    load(stored());
    expect(nameOf(ring.find(text))).toBe('shop');
    load(stored({ revokedAt: DATABASE_AT }));
    expect(ring.find(text)).toEqual({ why: 'revoked', id });
    load();
    expect(whyOf(ring.find(text))).toBe('unknown');
  });

  it('rejects a key from its expiry on the database’s clock, without another load', () => {
    load(stored({ expiresAt: DATABASE_AT + now + 100 }));
    expect(nameOf(ring.find(text))).toBe('shop');
    now += 99;
    expect(nameOf(ring.find(text))).toBe('shop');
    now += 1;
    expect(ring.find(text)).toEqual({ why: 'expired', id });
  });

  it('accepts both secrets in the grace period of a rotation, then only the new one', () => {
    const next = writeKey('live', id);
    const before = { digest: digestOf(text, PEPPER), until: DATABASE_AT + now + 1_000 };
    load(stored({ secrets: [{ digest: digestOf(next, PEPPER), until: null }, before] }));
    expect([nameOf(ring.find(text)), nameOf(ring.find(next))]).toEqual(['shop', 'shop']);
    now += 1_000;
    expect([whyOf(ring.find(text)), nameOf(ring.find(next))]).toEqual(['rotated out', 'shop']);
  });

  it('keeps the used part of a limit through a load, and restarts a changed limit', () => {
    load(stored({ requestsPerSecond: 2, livePerSecond: 3 }));
    const first = ring.find(text) as HeldKey;
    expect([first.requests?.take(2), first.liveQuota?.take(9)]).toEqual([2, 3]);
    load(stored({ requestsPerSecond: 2, livePerSecond: 5 }));
    const second = ring.find(text) as HeldKey;
    expect([second.requests?.take(1), second.liveQuota?.take(9)]).toEqual([0, 5]);
    load(stored());
    const unlimited = ring.find(text) as HeldKey;
    expect([unlimited.requests, unlimited.liveQuota]).toEqual([undefined, undefined]);
  });

  it('returns the stored scopes', () => {
    const scopes: Scope[] = ['events:write', 'runs:read'];
    load(stored({ scopes }));
    expect([...(ring.find(text) as HeldKey).scopes]).toEqual(scopes);
  });

  it('is trusted for a limited time after the last answer of the database, even one without keys', () => {
    expect(ring.isBelieved()).toBe(false);
    load(stored());
    now += 60_000;
    expect(ring.isBelieved()).toBe(true);
    now += 1;
    expect(ring.isBelieved()).toBe(false);
    ring.load({ version: ring.version, now: DATABASE_AT + now, keys: null }, now);
    expect([ring.isBelieved(), nameOf(ring.find(text))]).toEqual([true, 'shop']);
  });

  it('handles texts of any length and alphabet', () => {
    load(stored());
    for (const odd of [`${text}${'x'.repeat(8_000)}`, 'ā'.repeat(102), `${text.slice(0, -1)}\u0161`]) {
      expect(whyOf(ring.find(odd))).toBe('malformed');
    }
  });
});
