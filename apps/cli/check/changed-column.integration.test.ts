/** Tests of `check` and `doctor` on a predictor whose columns changed their type after the adoption. */
import { linearModel } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';

// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

let place: Place;
beforeEach(async () => {
  place = await createPlace();
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(`create table customers (customer_id bigint primary key, age integer);
    insert into customers select n, n from generate_series(1, 10) n`);
  expect((await place.tandem('init --model m.onnx --table customers --key customer_id --predictor churn')).code).toBe(
    0,
  );
  await place.allowSlowReads();
  expect((await place.tandem('adopt')).code).toBe(0);
});
afterEach(() => place.remove());

interface Found {
  readonly subject: string;
  readonly level: string;
  readonly text: string;
  readonly remedy: string;
}

async function columnsBy(command: 'check' | 'doctor'): Promise<readonly Found[]> {
  const { findings } = JSON.parse((await place.tandem(`${command} --json`)).out) as { findings: Found[] };
  return findings.filter(({ subject }) => subject === 'churn columns');
}

const remedy = 'tandem adopt, which reads the new type, then tandem run start; or give the column its former type';

test.each([
  ['age', 'real', 'real now, but was integer'],
  ['age', 'text', 'text now, but was integer'],
  ['customer_id', 'text', 'text now, but was bigint'],
])('doctor and check report column %s, altered to %s, that no read can decode any more', async (column, type, said) => {
  await place.sql(`alter table customers alter column ${column} type ${type} using ${column}::${type}`);
  const text = `public.customers.${column} has type ${said} when model version 1 was adopted: no user can be scored`;
  expect(await columnsBy('doctor')).toEqual([{ subject: 'churn columns', level: 'error', text, remedy }]);
  expect(await columnsBy('check')).toEqual([{ subject: 'churn columns', level: 'warning', text, remedy }]);
});

test('doctor reports a changed column even if it cannot list the sources', async () => {
  await place.sql('alter table customers alter column age type real');
  await place.sql('alter table tandem.watched_sources rename to renamed');
  const { findings } = JSON.parse((await place.tandem('doctor --json')).out) as { findings: Found[] };
  expect(findings).toContainEqual(expect.objectContaining({ subject: 'churn columns', level: 'error' }));
  expect(findings).toContainEqual(expect.objectContaining({ subject: 'sources', level: 'error' }));
});

test('a time of loading that became a text is reported, since the feature query then fails', async () => {
  await place.sql('alter table customers add column loaded_at timestamptz not null default now()');
  const config = await place.read('tandem.config.ts');
  await place.write(
    'tandem.config.ts',
    config.replace(/ age\n(.*\n.*`,\n)/, " age, loaded_at\n$1        asOf: 'loaded_at',\n"),
  );
  expect((await place.tandem('adopt')).code).toBe(0);
  await place.sql('alter table customers alter column loaded_at type timestamp');
  expect(await columnsBy('doctor')).toEqual([]);
  await place.sql('alter table customers alter column loaded_at type text');
  const text = expect.stringContaining('loaded_at has type text now, but was timestamp with time zone when');
  expect(await columnsBy('doctor')).toMatchObject([{ level: 'error', text }]);
});

test('a column that the query computes is named as the query names it, and adopting the config again fixes it', async () => {
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/ age\n/, ' age + 1 as age\n'));
  expect((await place.tandem('adopt')).code).toBe(0);
  await place.sql('alter table customers alter column age type bigint');
  expect(await columnsBy('doctor')).toEqual([]);
  await place.sql('alter table customers alter column age type double precision');
  const text = expect.stringMatching(/^column age of the feature query has type double precision now, but was integer/);
  expect(await columnsBy('doctor')).toMatchObject([{ text }]);
  expect((await place.tandem('adopt')).code).toBe(0);
  expect([...(await columnsBy('doctor')), ...(await columnsBy('check'))]).toEqual([]);
});
