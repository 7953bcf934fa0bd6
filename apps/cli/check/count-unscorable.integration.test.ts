import { createPool } from '@tandem/offline-store/sql/database';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';
import { countUnscorable } from './count-unscorable.ts';

let place: Place;
beforeEach(async () => {
  place = await createPlace({ migrated: false });
});
afterEach(() => place.remove());

test('users with a text above the size limit of a row are counted by column', async () => {
  await place.sql(`create table customers (user_id bigint primary key, note text, code character(4));
    insert into customers values (1, 'short', 'a'), (2, repeat('a', 10000000), 'a'), (3, null, 'a')`);
  const pool = createPool({ url: place.databaseUrl, max: 1, applicationName: 'count-test' });
  const columns = [{ name: 'note', kind: 'string', nullAs: '' } as const, { name: 'code', kind: 'string' } as const];
  const query = { sql: 'select * from customers', columns, asOf: null, overlayForMs: null };
  expect(await countUnscorable(pool, query).finally(() => pool.end())).toEqual({
    users: 3,
    unscorable: 1,
    reasons: [
      {
        ...{ column: 'note', said: 'a text of more than 1 MiB', users: 1 },
        remedy: 'shorten it in the query: left(note, 10000) as note',
        condition: expect.stringMatching(/^octet_length\(f\."?note"?::text\) > \d+$/),
      },
    ],
  });
});
