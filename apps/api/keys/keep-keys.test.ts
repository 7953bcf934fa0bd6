import { digestOf, newKeyId, writeKey } from '@tandem/prediction/keys/api-key';
import { KeyRing, type KeySnapshot, type StoredKey } from '@tandem/prediction/keys/key-ring';
import { type Log, silentLog } from '@tandem/telemetry/log';
import { afterEach, expect, test } from 'vitest';
import { type KeyKeeper, keepKeys } from './keep-keys.ts';

const PEPPER = 'p'.repeat(32);
const text = writeKey('live', newKeyId());

let keeper: KeyKeeper | undefined;
afterEach(() => keeper?.close());

function stored(changes: Partial<StoredKey> = {}): StoredKey {
  return {
    id: text.slice(12, 28),
    name: 'shop',
    scopes: ['predictions:read'],
    secrets: [{ digest: digestOf(text, PEPPER), until: null }],
    pepperId: 'ours',
    expiresAt: null,
    revokedAt: null,
    requestsPerSecond: null,
    livePerSecond: null,
    ...changes,
  };
}

/** Starts a keeper that reads these snapshots in order and repeats the last one. An error stands for an outage. */
function keep(...snapshots: (KeySnapshot | Error)[]) {
  const told: string[] = [];
  const asked: string[] = [];
  const log: Log = { ...silentLog, warn: (event) => told.push(event), info: (event) => told.push(event) };
  const ring = new KeyRing({ pepper: PEPPER, believedForMs: 60_000 });
  keeper = keepKeys({
    ring,
    pepperId: 'ours',
    everyMs: 1,
    log,
    async read(knownVersion) {
      asked.push(knownVersion);
      const [next] = snapshots.length > 1 ? snapshots.splice(0, 1) : snapshots;
      if (!next || next instanceof Error) throw next;
      return next;
    },
  });
  return { ring, told, asked, started: keeper.started };
}

const snapshot = (version: string, keys: readonly StoredKey[] | null) => ({ version, now: 1_000, keys });

test('keys are known after the start, and removed when they are gone from Postgres', async () => {
  const { ring, asked, started } = keep(snapshot('a', [stored()]), snapshot('a', null), snapshot('b', []));
  await started;
  expect(ring.find(text)).toMatchObject({ name: 'shop' });
  await expect.poll(() => ring.find(text)).toMatchObject({ why: 'unknown' });
  expect(asked.slice(0, 3)).toEqual(['', 'a', 'a']);
});

test('an outage is logged once at its start and once at its end, and known keys stay', async () => {
  const away = new Error('away');
  const { ring, told, asked, started } = keep(snapshot('a', [stored()]), away, away, away, snapshot('a', null));
  await started;
  await expect.poll(() => asked.length).toBeGreaterThan(5);
  expect(told).toEqual(['keys.not_refreshed', 'keys.known_again']);
  expect(ring.find(text)).toMatchObject({ name: 'shop' });
});

test('a service starts without its database, and trusts no key', async () => {
  const { ring, started } = keep(new Error('away'));
  await started;
  expect(ring.isBelieved()).toBe(false);
});

test('keys with another pepper are logged, unless they are expired or revoked', async () => {
  const foreign = keep(snapshot('a', [stored({ pepperId: 'other' })]));
  await foreign.started;
  expect(foreign.told).toEqual(['keys.of_another_pepper']);
  await keeper?.close();
  const past = [stored({ pepperId: 'other', revokedAt: 1 }), stored({ pepperId: 'other', expiresAt: 1_000 })];
  const quiet = keep(snapshot('a', past));
  await quiet.started;
  expect(quiet.told).toEqual([]);
});
