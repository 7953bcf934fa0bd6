import { digestOf, keyIdOf, pepperId } from '@tandem/prediction/keys/api-key';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  insertApiKey,
  limitApiKey,
  listApiKeys,
  MOST_KEYS,
  type NewApiKey,
  readKeySnapshot,
  revokeApiKey,
  rotateApiKey,
} from './api-keys.ts';
import { createTestDatabase, type TestDatabase } from './store.fixture.ts';

const PEPPER = 'a pepper of more than thirty-two characters';
const SHOP: NewApiKey = {
  name: 'shop',
  kind: 'live',
  scopes: ['predictions:read', 'events:write'],
  expiresInMs: null,
  requestsPerSecond: 100,
  livePerSecond: null,
  newUsersPerDay: null,
};
const HOUR = 3_600_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database.drop());
beforeEach(async () => void (await database.pool.query('truncate tandem.api_keys')));

const insert = (changes: Partial<NewApiKey> = {}) => insertApiKey(database.pool, { ...SHOP, ...changes }, PEPPER);
const snapshot = async () => (await readKeySnapshot(database.pool, '')).keys ?? [];

describe('API keys', () => {
  it('are stored as digests: no row holds a secret', async () => {
    const made = await insert();
    expect(keyIdOf(made.key)).toBe(made.id);
    const { expiresInMs: _expiresInMs, ...asked } = SHOP;
    expect(made).toMatchObject({ ...asked, state: 'active', expiresAt: null, revokedAt: null });
    const { rows } = await database.pool.query('select to_jsonb(k)::text as text from tandem.api_keys k');
    const [, , , secret = 'none'] = made.key.split('_');
    expect(rows[0].text).toContain(digestOf(made.key, PEPPER).toString('hex'));
    expect(rows[0].text).not.toContain(secret);
    const { key: _key, ...shown } = made;
    expect(await listApiKeys(database.pool)).toEqual([shown]);
  });

  it('are sent only to processes that do not know the current version', async () => {
    const made = await insert({ expiresInMs: HOUR, livePerSecond: 0.5, newUsersPerDay: 7 });
    expect(made.newUsersPerDay).toBe(7);
    const { version, now, keys } = await readKeySnapshot(database.pool, '');
    expect(keys).toEqual([
      {
        id: made.id,
        name: 'shop',
        scopes: SHOP.scopes,
        secrets: [{ digest: digestOf(made.key, PEPPER), until: null }],
        pepperId: pepperId(PEPPER),
        expiresAt: Date.parse(made.expiresAt ?? ''),
        revokedAt: null,
        requestsPerSecond: 100,
        livePerSecond: 0.5,
      },
    ]);
    expect(now).toBeLessThan(Date.parse(made.expiresAt ?? ''));
    expect((await readKeySnapshot(database.pool, version)).keys).toBeNull();
  });

  it.each([
    ['made', () => insert()],
    ['changed by hand', () => database.pool.query('update tandem.api_keys set expires_at = now()')],
    ['deleted by hand', () => database.pool.query('delete from tandem.api_keys')],
  ])('that are %s give a new version', async (_, change) => {
    await insert();
    const { version } = await readKeySnapshot(database.pool, '');
    await change();
    const after = await readKeySnapshot(database.pool, version);
    expect(after.version).not.toBe(version);
    expect(after.keys).not.toBeNull();
  });

  it('have two secrets after a rotation, during the grace period', async () => {
    const made = await insert();
    const rotated = await rotateApiKey(database.pool, made.id, { graceMs: HOUR, dropPrevious: false }, PEPPER);
    expect(rotated).toMatchObject({ id: made.id, state: 'rotating', scopes: SHOP.scopes, requestsPerSecond: 100 });
    expect(rotated.key).not.toBe(made.key);
    const [key] = await snapshot();
    expect(key?.secrets).toEqual([
      { digest: digestOf(rotated.key, PEPPER), until: null },
      { digest: digestOf(made.key, PEPPER), until: Date.parse(rotated.previousUntil ?? '') },
    ]);
  });

  it('have one secret after a rotation without a grace period', async () => {
    const made = await insert();
    const rotated = await rotateApiKey(database.pool, made.id, { graceMs: 0, dropPrevious: false }, PEPPER);
    expect(rotated).toMatchObject({ state: 'active', previousUntil: null });
    expect((await snapshot())[0]?.secrets).toEqual([{ digest: digestOf(rotated.key, PEPPER), until: null }]);
  });

  it('have a grace period of months if it is requested', async () => {
    const made = await insert();
    const rotation = { graceMs: 90 * 24 * HOUR, dropPrevious: false };
    const { rotatedAt, previousUntil } = await rotateApiKey(database.pool, made.id, rotation, PEPPER);
    const graceMs = Date.parse(previousUntil ?? '') - Date.parse(rotatedAt ?? '');
    expect(Math.round(graceMs / HOUR)).toBe(90 * 24);
  });

  it('have one secret after a rotation to another pepper, which invalidates the previous secret', async () => {
    const made = await insert();
    const other = `${PEPPER}, another`;
    const rotated = await rotateApiKey(database.pool, made.id, { graceMs: HOUR, dropPrevious: false }, other);
    expect(rotated).toMatchObject({ state: 'active', previousUntil: null, pepperId: pepperId(other) });
    expect((await snapshot())[0]?.secrets).toEqual([{ digest: digestOf(rotated.key, other), until: null }]);
  });

  it('are not rotated again during a grace period, unless the previous secret is dropped explicitly', async () => {
    const { id } = await insert();
    const first = await rotateApiKey(database.pool, id, { graceMs: HOUR, dropPrevious: false }, PEPPER);
    const again = rotateApiKey(database.pool, id, { graceMs: HOUR, dropPrevious: false }, PEPPER);
    await expect(again).rejects.toMatchObject({
      code: 'invalid_input',
      remedy: expect.stringContaining('--drop-previous'),
    });
    const second = await rotateApiKey(database.pool, id, { graceMs: HOUR, dropPrevious: true }, PEPPER);
    const digests = [second.key, first.key].map((text) => digestOf(text, PEPPER));
    expect((await snapshot())[0]?.secrets.map(({ digest }) => digest)).toEqual(digests);
  });

  it('get the limits that are given, and keep the others; concurrent changes all count', async () => {
    const { id } = await insert({ newUsersPerDay: 7 });
    const changes = [{ requestsPerSecond: null }, { livePerSecond: 0.5 }, { newUsersPerDay: 9 }];
    await Promise.all(changes.map((limits) => limitApiKey(database.pool, id, limits)));
    const limits = { requestsPerSecond: null, livePerSecond: 0.5 };
    expect(await listApiKeys(database.pool)).toMatchObject([{ ...limits, newUsersPerDay: 9 }]);
    expect(await snapshot()).toMatchObject([limits]);
    await revokeApiKey(database.pool, id);
    await expect(limitApiKey(database.pool, id, limits)).rejects.toThrow('is revoked and cannot be changed');
  });

  it('are revoked permanently and only once', async () => {
    const { id } = await insert();
    const revoked = await revokeApiKey(database.pool, id);
    expect(revoked.state).toBe('revoked');
    expect(await revokeApiKey(database.pool, id)).toEqual(revoked);
    expect((await snapshot())[0]?.revokedAt).toBe(Date.parse(revoked.revokedAt ?? ''));
    const rotate = rotateApiKey(database.pool, id, { graceMs: 0, dropPrevious: false }, PEPPER);
    await expect(rotate).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('revoked') });
  });

  it('record each creation, change of limits, rotation and revocation once in the audit, with the actor and without secrets', async () => {
    await database.pool.query('truncate tandem.audit');
    const { id, key } = await insertApiKey(database.pool, SHOP, PEPPER, 'an operator');
    await limitApiKey(database.pool, id, { livePerSecond: 2, newUsersPerDay: null });
    const { key: second } = await rotateApiKey(database.pool, id, { graceMs: 0, dropPrevious: false }, PEPPER);
    const again = rotateApiKey(database.pool, '0'.repeat(16), { graceMs: 0, dropPrevious: false }, PEPPER);
    await expect(again).rejects.toThrow();
    for (let time = 0; time < 2; time++) await revokeApiKey(database.pool, id);
    const { rows } = await database.pool.query('select actor, action, detail from tandem.audit order by seq');
    expect(rows).toMatchObject([
      { actor: 'an operator', action: 'create_key', detail: { key: id, name: 'shop', scopes: SHOP.scopes } },
      { actor: 'cli', action: 'limit_key', detail: { key: id, name: 'shop', livePerSecond: 2, newUsersPerDay: null } },
      { actor: 'cli', action: 'rotate_key', detail: { key: id, name: 'shop', previousUntil: null } },
      { actor: 'cli', action: 'revoke_key', detail: { key: id, name: 'shop' } },
    ]);
    for (const text of [key, second]) expect(JSON.stringify(rows)).not.toContain(text.split('_')[3]);
  });

  it('are not created without their audit row', async () => {
    await database.pool.query('alter table tandem.audit add constraint full_disk check (false) not valid');
    try {
      await expect(insert()).rejects.toThrow('full_disk');
      expect(await listApiKeys(database.pool)).toEqual([]);
    } finally {
      await database.pool.query('alter table tandem.audit drop constraint full_disk');
    }
  });

  it('never exceed the maximum number, even with concurrent creations', async () => {
    await database.pool.query(
      `insert into tandem.api_keys (id, name, kind, scopes, digest, pepper_id)
        select lpad(to_hex(n), 16, '0'), 'one of many', 'live', '{predictions:read}', decode(repeat('00', 32), 'hex'), 'x'
        from generate_series(1, $1) n`,
      [MOST_KEYS - 1],
    );
    // Each insert counts the keys and then sleeps, so that a concurrent count would be wrong.
    await database.pool.query(`create function slow() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.2); return null; end $$`);
    await database.pool.query('create trigger slow before insert on tandem.api_keys execute function slow()');
    try {
      const made = await Promise.allSettled(Array.from({ length: 3 }, () => insert()));
      expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    } finally {
      await database.pool.query('drop function slow() cascade');
    }
  });

  it('that do not exist cannot be changed', async () => {
    const unknown = { code: 'invalid_input', field: 'id' };
    await expect(revokeApiKey(database.pool, "x' or true")).rejects.toMatchObject(unknown);
    await expect(
      rotateApiKey(database.pool, '0'.repeat(16), { graceMs: 0, dropPrevious: false }, PEPPER),
    ).rejects.toMatchObject(unknown);
  });

  it('that ended 90 days ago are deleted when another key is created', async () => {
    const [old, recent] = [await insert({ expiresInMs: HOUR }), await insert({ expiresInMs: HOUR })];
    await database.pool.query(`update tandem.api_keys set expires_at = now() - interval '91 days' where id = $1`, [
      old.id,
    ]);
    await database.pool.query(`update tandem.api_keys set expires_at = now() where id = $1`, [recent.id]);
    const made = await insert();
    const states = (await listApiKeys(database.pool)).map(({ id, state }) => [id, state]);
    expect(states).toEqual([
      [made.id, 'active'],
      [recent.id, 'expired'],
    ]);
  });
});
