/** Tests what `adopt` rejects, and what it prints about the first runs of adopted predictors. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { withDatabases } from '@tandem/commands/environment';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';
import { type AdoptedConfig, adoptConfig, renderAdoption } from './adopt-config.ts';

// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 300_000 });

let place: Place;
/** The config that `init` writes for the table. */
let written: string;
beforeAll(async () => {
  place = await createCustomers();
  expect((await place.tandem(INIT)).code).toBe(0);
  written = await place.read('tandem.config.ts');
  await place.remove();
});
beforeEach(async () => {
  place = await createCustomers();
});
afterEach(() => place.remove());

const INIT = 'init --model m.onnx --table customers --key customer_id --predictor churn';

async function createCustomers(): Promise<Place> {
  const created = await createPlace();
  await created.write('m.onnx', linearModel({ weights: [1] }));
  await created.sql(`create table customers (customer_id integer primary key, age real);
    insert into customers values (1, 1), (2, 2), (3, 3)`);
  return created;
}

/** Creates a table of three users, in which user 3 has one row or two, and its config. */
async function customers({ twice = false, nightly = true } = {}): Promise<void> {
  if (twice) {
    await place.sql(`alter table customers drop constraint customers_pkey; create index on customers (customer_id);
      insert into customers values (3, 4); analyze customers`);
  }
  expect(written).toMatch(/schedule: '[^']+'/);
  const batch = nightly ? "schedule: '0 2 * * *'" : '';
  await place.write('tandem.config.ts', written.replace(/schedule: '[^']+',?/, batch === '' ? '' : `${batch},`));
}

interface Adopted {
  readonly predictors: readonly { readonly predictor: string; readonly change: string }[];
  readonly ignored: readonly { readonly subject: string; readonly level: string }[];
  readonly firstRuns: readonly {
    readonly predictor: string;
    readonly runId: string | null;
    readonly nextSlot: string | null;
  }[];
}

async function adopt(args = ''): Promise<Adopted> {
  const { code, out, err } = await place.tandem(`adopt --json${args}`);
  expect({ code, err }).toMatchObject({ code: 0 });
  return JSON.parse(out) as Adopted;
}

test('a config with an error of `check` is rejected and changes nothing; --force adopts it and names the ignored errors', async () => {
  await customers({ twice: true });
  const refused = await place.tandem('adopt');
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toMatch(/tandem\.config\.ts is not adopted: 1 error/);
  expect(refused.err).toMatch(
    /error +churn keys +not one row for each user: 3 \(2 rows\)\n +→ group the query by user_id/,
  );
  expect(refused.err).toContain('tandem adopt --force');
  await expect(place.sql('select 1 / (1 - count(*)) from tandem.predictors')).resolves.toBeUndefined();
  expect(await place.tandem('adopt --json')).toMatchObject({
    code: 1,
    out: expect.stringContaining('not one row for each user'),
  });

  const forced = await place.tandem('adopt --force');
  expect(forced).toMatchObject({ code: 0, out: expect.stringContaining('churn: model version 1, adopted') });
  expect(forced.err).toMatch(/ignored: churn keys: not one row for each user: 3 \(2 rows\)/);
  // The config is already adopted, so rejecting it would change nothing.
  const again = await adopt();
  expect(again).toMatchObject({ predictors: [{ change: 'unchanged' }], ignored: [] });
});

test('adopt prints the warnings of `check` before it adopts, each with its remedy', async () => {
  await customers();
  await place.sql('insert into customers (customer_id) values (4)');
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/batch: \{/, 'batch: { minCoverage: 0.5,'));
  const warned = /warning +churn users +1 of 4 cannot be scored: age is null \(1\)\n +→ set features\.nulls/;
  expect((await place.tandem('check')).out).toMatch(warned);
  const adopted = await place.tandem('adopt');
  expect(adopted).toMatchObject({ code: 0, err: expect.stringMatching(warned) });
});

test('an empty table is a warning at first; it is an error once predictions are served, and --force adopts it', async () => {
  await customers();
  await place.sql('truncate customers');
  const warned = /warning +churn users +the feature query returns no user\n +→ check that its tables have rows/;
  expect(await place.tandem('adopt')).toMatchObject({ code: 0, err: expect.stringMatching(warned) });

  await adopt(' --run');
  await publishRun();
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/ age\n/, ' age + 1 as age\n'));
  const refused = await place.tandem('adopt');
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain('tandem.config.ts is not adopted: 1 error');
  expect(refused.err).toMatch(
    /error +churn users +the feature query returns no user, but this predictor is served: .*\n +→ check that its tables have rows/,
  );
  expect(refused.err).toContain('tandem adopt --force');
  await expect(place.sql('select 1 / (2 - count(*)) from tandem.model_versions')).resolves.toBeUndefined();
  const forced = await place.tandem('adopt --force');
  expect(forced).toMatchObject({ code: 0, out: expect.stringContaining('churn: model version 2, adopted') });
});

/** Ends the run, and publishes its generation without predictions. */
async function publishRun(): Promise<void> {
  await place.sql(`update tandem.runs set state = 'done', finished_at = clock_timestamp();
    with made as (insert into tandem.generations (predictor, number, model_version_id, run_id, state, history, buckets)
      select predictor, 1, model_version_id, id, 'published', history, 1 from tandem.runs returning id)
    update tandem.arms set generation_id = (select id from made)`);
}

test('a query that returns no user in time is rejected, even if reads are never live, and --force adopts it', async () => {
  await customers();
  await place.sql(`create function slow(real) returns real language plpgsql stable as
    'begin perform pg_sleep(0.3); return $1; end'`);
  const config = await place.read('tandem.config.ts');
  const slow = config.replace(/ age\n/, ' slow(age) as age\n').replace(/liveTimeout: '[^']+'/, 'live: false');
  await place.write('tandem.config.ts', slow);
  await expect(adoptWithin({ featuresMs: 200, force: false })).rejects.toThrow(
    /error +churn parity .*with no real users, because the features of 3 users were not read in time\n +→ make/,
  );
  const forced = await adoptWithin({ featuresMs: 200, force: true });
  expect(renderAdoption(forced, place.folder)).toEqual([
    expect.stringContaining('churn: model version 1, adopted'),
    expect.stringContaining('public.customers: watched for churn'),
  ]);
});

/** Adopts as the command does, with a limit of 5 s for the features. */
function adoptWithin({ featuresMs, force }: { featuresMs: number; force: boolean }): Promise<AdoptedConfig> {
  const urls = { url: place.databaseUrl, featuresUrl: place.databaseUrl };
  return withDatabases(urls, { applicationName: 'adopt-test' }, (databases) =>
    adoptConfig(databases, join(place.folder, 'tandem.config.ts'), {
      memoryLimitMb: 512,
      force,
      command: 'tandem adopt',
      sampling: { featuresMs },
      say: () => undefined,
      redisUrl: undefined,
      cwd: place.folder,
    }),
  );
}

test('without stored predictions, adopt names the next slot of the schedule and how to start a run now', async () => {
  await customers();
  const { code, out } = await place.tandem('adopt');
  expect(code).toBe(0);
  expect(out).not.toContain('is due');
  expect(out).toMatch(
    /churn: no predictions of model version 1 are stored; next scheduled run: \d{4}-\d\d-\d\d 02:00 UTC; until its end, reads are live\n +→ start one now: tandem run start churn/,
  );
  await place.sql("update tandem.predictors set updated_at = clock_timestamp() - interval '2 days'");
  expect((await place.tandem('adopt')).out).toMatch(/a scheduled run is due and starts with the next worker/);
});

test('without a schedule, adopt says that no run is scheduled', async () => {
  await customers({ nightly: false });
  expect((await place.tandem('adopt')).out).toMatch(
    /churn: no predictions of model version 1 are stored; no run is scheduled \(batch\.schedule\); until a run has ended, reads are live/,
  );
});

test('if event patterns are added, adopt says until when more reads are live', async () => {
  await customers();
  const said = /churn: event patterns or features were added; until workers have rewritten the contexts, any event/;
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace("events: ['*']", "events: ['order.*']"));
  expect((await place.tandem('adopt')).out).not.toMatch(said);
  await place.write('tandem.config.ts', config);
  expect((await place.tandem('adopt')).out).toMatch(said);
  expect(await adopt()).toMatchObject({ predictors: [{ change: 'unchanged', patternsPending: true }] });
});

test('if Redis does not answer, an adoption that replaces a version is complete, says so, and --run still starts its run', async () => {
  await customers();
  await adopt();
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/ age\n/, ' age + 1 as age\n'));
  // Accepts connections and never answers.
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const withoutRedis = { REDIS_URL: `redis://127.0.0.1:${port}` };
  const replaced = await place.tandem('adopt --run', withoutRedis);
  expect(replaced).toMatchObject({ code: 1, out: '' });
  expect(replaced.err).toMatch(/churn: run [0-9a-f-]{36} is in progress\n +→ follow it: /);
  expect(replaced.err).toMatch(
    /\ntandem: The config is adopted, but Redis did not confirm it: .*127\.0\.0\.1.*\n {2}do not repeat it: workers confirm it/,
  );
  const { firstRuns, ...again } = await adopt();
  expect(again).toMatchObject({ predictors: [{ change: 'unchanged', modelNumber: 2, servedNumber: 2 }] });
  expect(firstRuns).toEqual([expect.objectContaining({ runId: expect.any(String), modelNumber: 2 })]);
  // A failure of the runs does not hide that the adoption is complete.
  await place.sql(`create function no_run() returns trigger language plpgsql as 'begin raise exception ''no run''; end';
    delete from tandem.runs; create trigger no_run before insert on tandem.runs execute function no_run()`);
  await place.write('tandem.config.ts', config.replace(/ age\n/, ' age + 2 as age\n'));
  const third = await place.tandem('adopt --run', withoutRedis);
  silent.close();
  expect(third.err).toMatch(/cannot start the first runs: .*\n.*but Redis did not confirm it/s);
});

test('--run starts a run of all users once, and none if predictions are stored', async () => {
  await customers();
  const { firstRuns } = await adopt(' --run');
  expect(firstRuns).toEqual([
    expect.objectContaining({ predictor: 'churn', runId: expect.stringMatching(/^[0-9a-f-]{36}$/) }),
  ]);
  const slot = new Date(firstRuns[0]?.nextSlot ?? '');
  expect([slot.getUTCHours(), slot.getUTCMinutes()]).toEqual([2, 0]);
  expect(slot.getTime()).toBeGreaterThan(Date.now());
  expect(slot.getTime()).toBeLessThanOrEqual(Date.now() + 86_400_000);
  const again = await place.tandem('adopt --run');
  // After the end of the run, `run start --follow` would start another run.
  expect(again.out).toContain(`→ follow it: tandem run show ${firstRuns[0]?.runId} --follow`);
  expect(again.out).toContain(`churn: run ${firstRuns[0]?.runId} is in progress`);
  const pending = 'select 1 / (2 - count(*)) from tandem.runs having count(*) <> 1';
  await expect(place.sql(pending)).resolves.toBeUndefined();
  await publishRun();
  expect(await adopt(' --run')).toMatchObject({ firstRuns: [] });
  await expect(place.sql(pending)).resolves.toBeUndefined();
});
