/** Tests of `check` on an unknown config: it reports only what it has tried, and what the adoption would change. */
import { join } from 'node:path';
import type { ReportProgress } from '@tandem/admission/report-progress';
import { createPool } from '@tandem/offline-store/sql/database';
import { echoModel, linearModel, rootModel, textModel } from '@tandem/testing/onnx-models';
import { BOOL, FLOAT, graph, model, node, raw, value } from '@tandem/testing/onnx-writer';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';
import { checkConfig } from './check-config.ts';

// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

let place: Place;
beforeEach(async () => {
  place = await createPlace();
});
afterEach(() => place.remove());

const INIT = 'init --model m.onnx --table customers --key customer_id --predictor churn';

interface Report {
  readonly findings: readonly { readonly subject: string; readonly level: string; readonly text: string }[];
  readonly samples: readonly { readonly prediction: unknown }[];
}

async function check(args = ''): Promise<{ code: number; err: string; report: Report }> {
  const { code, out, err } = await place.tandem(`check --json${args}`);
  return { code, err, report: JSON.parse(out) as Report };
}

/**
 * Returns a model like a forest of two targets that skl2onnx exports: it declares [users, 1] and returns [users, 2].
 */
function twoTargets() {
  const keep = raw('keep', BOOL, [2], Buffer.from([1, 1]));
  const both = node('Compress', ['features', 'keep'], ['variable'], { axis: 1 });
  return model(graph([both], [keep], [value('features', FLOAT, ['', 2])], [value('variable', FLOAT, ['', 1])]));
}

test('a model that declares one value and returns two is rejected until the config says which to use', async () => {
  await place.write('m.onnx', twoTargets());
  await place.sql(`create table customers (customer_id integer primary key, a real, b real);
    insert into customers values (1, 3, 7)`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const written = await place.read('tandem.config.ts');
  expect(written).toContain("score: { from: 'variable', type: 'float32', width: 2 }");
  const config = written.replace(', width: 2 }', ' }');
  await place.write('tandem.config.ts', config);
  const refused = await place.tandem('check');
  expect(refused.code).toBe(1);
  expect(refused.out).toMatch(
    /churn\.outputs\.score: .*gives 2 values a user \(it declares 1\).*\n.*index: 0 .*width: 2/,
  );
  for (const [said, prediction] of [
    ['width: 2', { score: [3, 7] }],
    ['index: 1', { score: 7 }],
  ] as const) {
    await place.write('tandem.config.ts', config.replace("type: 'float32' }", `type: 'float32', ${said} }`));
    const { code, report } = await check();
    expect({ code, samples: report.samples }).toMatchObject({ code: 0, samples: [{ prediction }] });
  }
});

test('check says how many users it tried, and takes them from the whole range of keys', async () => {
  await place.write('m.onnx', rootModel());
  await place.sql(`create table customers (customer_id integer primary key, x real);
    insert into customers select n, case when n > 900 then -1 else 1 end from generate_series(1, 1000) n`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const { code, report } = await check();
  expect(code).toBe(0);
  expect(report.findings).toContainEqual({
    subject: 'churn users',
    level: 'ok',
    text: expect.stringMatching(/^1,000, all with the required values; [89]\d of 1,000 tried on the model$/),
  });
  const parity = report.findings.find(({ subject }) => subject === 'churn parity');
  expect(parity).toMatchObject({
    level: 'warning',
    text: expect.stringMatching(/none for \d other real users: .*NaN/),
  });
});

test('a query that is too slow for a live read is reported with the step that took too long', async () => {
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(`create table customers (customer_id integer primary key, age real); insert into customers values (1, 1);
    create function slow(real) returns real language plpgsql stable as 'begin perform pg_sleep(1.1); return $1; end'`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/ age\n/, ' slow(age) as age\n'));
  const pool = createPool({ url: place.databaseUrl, max: 2, applicationName: 'check-test' });
  const steps: string[] = [];
  const reportProgress: ReportProgress = (step, work) => {
    steps.push(step);
    return work();
  };
  const file = join(place.folder, 'tandem.config.ts');
  const { findings } = await checkConfig({ pool, features: pool }, file, 512, {
    reportProgress,
    sampling: { featuresMs: 500 },
  }).finally(() => pool.end());
  expect(findings).toContainEqual({
    subject: 'churn parity',
    level: 'error',
    text: expect.stringContaining('no real users, because the features of 1 user were not read in time'),
    remedy: expect.any(String),
  });
  expect(findings).toContainEqual(
    expect.objectContaining({
      subject: 'churn query',
      level: 'warning',
      text: expect.stringMatching(/^the features of user 1 took [\d.]+ s, and freshness\.liveTimeout is 250 ms/),
    }),
  );
  expect(steps).toContain('reading some users of churn');
});

test('init, check and adopt name the predictors that the adoption would withdraw', async () => {
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(
    'create table customers (customer_id integer primary key, age real); insert into customers values (1, 1)',
  );
  expect((await place.tandem(INIT)).out).not.toContain('predictors of one');
  await place.allowSlowReads();
  expect((await check()).report.findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect((await place.tandem('adopt')).err).not.toContain('withdraws');

  const again = await place.tandem(INIT.replace('churn', 'churn --config again.config.ts'));
  expect(again.out).toContain('adopting this config replaces the served predictor churn');
  expect(again.out).not.toContain('to serve both');
  expect(again.out).toContain('up --config again.config.ts\n');

  const init = await place.tandem(INIT.replace('churn', 'seg --config second.config.ts'));
  expect(init.out).toContain('churn is served now, but not in second.config.ts: adopting the config stops serving it');
  expect(init.out).toContain('to serve both, move seg to `predictors` of tandem.config.ts');
  expect(init.out).not.toContain('up --config');
  const { code, report } = await check(' --config second.config.ts');
  expect(code).toBe(0);
  expect(report.findings).toContainEqual(
    expect.objectContaining({
      level: 'warning',
      text: 'churn is served now, but not in second.config.ts: adopting the config stops serving it',
    }),
  );
  const adopt = await place.tandem('adopt --config second.config.ts');
  expect(adopt.err).toContain('churn is served now, but not in second.config.ts: adopting the config stops serving it');
  expect(adopt.out).toContain('churn: not in second.config.ts, so it is no longer served');
});

test('check warns of texts padded with blanks, and says how to turn a NaN into a null', async () => {
  await place.write('m.onnx', textModel());
  await place.sql(`create table customers (customer_id integer primary key, plan character(6), age float8);
    insert into customers values (1, 'paid', 'NaN')`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const config = await place.read('tandem.config.ts');
  expect(config).toContain('plan::text as plan');
  await place.write('tandem.config.ts', config.replace('plan::text as plan', 'plan'));
  const { out } = await place.tandem('check');
  expect(out).toMatch(/warning +churn query +column plan has type character\(6\), which pads texts with blanks/);
  expect(out).toContain('→ cast the column, which removes the blanks: plan::text as plan');
  expect(out).toMatch(
    /error +churn sample +none of the 1 users? read can be scored; user 1: feature age is NaN; .*, or a null: nullif\(age, 'NaN'\)/,
  );
  expect(out).toContain("→ turn it into null in the query, nullif(age, 'NaN') as age");
});

test('a query that fails for one user is a finding that quotes Postgres, beside all other findings', async () => {
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(`create table customers (customer_id integer primary key, age real);
    insert into customers select n, n from generate_series(1, 3000) n`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const config = await place.read('tandem.config.ts');
  // This user is outside the sample for the trial.
  const userId = await userOutsideOfSample();
  await place.write('tandem.config.ts', config.replace(/ age\n/, ` age / (customer_id - ${userId}) as age\n`));
  const { code, report } = await check();
  expect(code).toBe(1);
  expect(report.findings).toContainEqual({
    subject: 'churn users',
    level: 'error',
    text: `the number of users, and whether each can be scored, could not be checked: The feature query of predictor churn fails: division by zero (user ${userId}) (predictors.churn.features.sql)`,
    remedy: 'fix the query, or the rows that it reads; tandem check runs it',
  });
  expect(report.findings.map(({ subject }) => subject)).toEqual(
    expect.arrayContaining(['config', 'churn keys', 'churn parity', 'churn plan']),
  );
  expect(report.samples).toHaveLength(1);
  const adopted = await place.tandem('adopt');
  expect(adopted.code).toBe(1);
  expect(adopted.err).toContain(`division by zero (user ${userId})`);
  expect(adopted.err).toContain('tandem adopt --force');
});

async function userOutsideOfSample(): Promise<number> {
  // Takes the last user in the order of the sample, which reads 256 of 3,000 users and 32 neighbours.
  const pool = createPool({ url: place.databaseUrl, max: 1, applicationName: 'check-test' });
  try {
    const text = `select customer_id from (select customer_id, row_number() over (order by hashtextextended(customer_id::text, 0)) as place
      from customers) p where place > 256 order by customer_id limit 1`;
    return (await pool.query<{ customer_id: number }>(text)).rows[0]?.customer_id ?? 0;
  } finally {
    await pool.end();
  }
}

test('a predictor with required request features can be adopted, and its sample has possible values of them', async () => {
  await place.write('m.onnx', echoModel('float32', 2));
  await place.sql(`create table customers (customer_id integer primary key, age real);
    insert into customers select n, 30 from generate_series(1, 20) n`);
  const churn = {
    model: './m.onnx',
    features: { sql: 'select customer_id as user_id, age from customers' },
    request: { amount: { type: 'number', examples: [12.5] } },
    outputs: {
      age: { from: 'score', type: 'float32', index: 0 },
      amount: { from: 'score', type: 'float32', index: 1 },
    },
  };
  await place.write('tandem.config.ts', `export default ${JSON.stringify({ predictors: { churn } })};`);
  const { code, report } = await check();
  expect({ code, failed: report.findings.filter(({ level }) => level === 'error') }).toEqual({ code: 0, failed: [] });
  expect(report.samples).toMatchObject([{ prediction: { age: 30, amount: 12.5 } }]);
});
