/** Tests of `tandem value` with a real model: on a file without a database, and on answers that a service has kept. */
import { linearModel, rootModel } from '@tandem/testing/onnx-models';
import { FLOAT, graph, model, node, value } from '@tandem/testing/onnx-writer';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createPlace, type Place } from '../../../../apps/cli/init/strangers-table.fixture.ts';

// Each command starts processes that import the config and load the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

let place: Place;
beforeEach(async () => {
  place = await createPlace();
  await place.write('m.onnx', linearModel({ weights: [2, 0], bias: -1 }));
  await place.write('tandem.config.ts', config("{ score: 'float32' }"));
});
afterEach(() => place.remove());

function config(outputs: string): string {
  return `export default { predictors: { churn: { model: './m.onnx',
    features: { sql: 'select customer_id as user_id, a, b from customers' }, outputs: ${outputs},
    freshness: { maxAge: '36h' }, batch: { schedule: '0 2 * * *' }, explanations: { share: 0.5, keepFor: '30d' } } } };`;
}

const HEAD = {
  format: 'tandem-value-1',
  predictor: 'churn',
  features: ['a', 'b'],
  users: 200,
  from: '2026-01-01T00:00:00Z',
  to: '2026-01-02T00:00:00Z',
};

/** Returns a history of users. Just before each read, an event sets the feature `a` to the outcome of the read. */
function history(users = 60, outcomeOf = (user: number): number | string => user % 2): string {
  const lines = Array.from({ length: users }, (_, user) => {
    const own = { user: `${user}` };
    return [
      { ...own, at: '2026-01-01T00:00:00Z', kind: 'context', features: [0.5, 1] },
      { ...own, at: '2026-01-01T05:30:00Z', kind: 'event' },
      { ...own, at: '2026-01-01T05:30:00Z', kind: 'context', features: [user % 2, 1] },
      { ...own, at: '2026-01-01T05:31:00Z', kind: 'read', outcome: outcomeOf(user) },
    ];
  }).flat();
  return [HEAD, ...lines].map((line) => JSON.stringify(line)).join('\n');
}

const FILE = 'value churn --history h.ndjson';
const NO_DATABASE = { DATABASE_URL: '' };

describe('of a file', () => {
  test('reports the gain, its cost and the curve, and draws the picture, without a database', async () => {
    await place.write('h.ndjson', history());
    const { code, out, err } = await place.tandem(FILE, NO_DATABASE);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      /^A significant gain: on this history, live answers after events were better than batch-only every 1h, 6h, 1d,\s7d\./,
    );
    expect(out).toMatch(/Hybrid against batch-only every 1d: significant gain; log-loss better by \+0\.\d+/);
    expect(out).toMatch(/60 of 60 reads by 60 users judged, an outcome\sof 1 after 50 %/);
    expect(out).toMatch(/batch-only, 1h +0\.6931 \[0\.6931, 0\.6931\] .* 4,800 +0 +80/);
    expect(out).toMatch(/hybrid, 1d .* 200 +60 +4\.33/);
    expect(out).not.toMatch(/simulated/i);
    expect(await place.read('churn-value.svg')).toMatch(/^<svg .*Value of fresh context: churn</s);
  });

  test('prints one JSON document with the requested cadences', async () => {
    await place.write('h.ndjson', history());
    const { code, out } = await place.tandem(`${FILE} --cadence 1d,2h --picture out/p.svg --json`, NO_DATABASE);
    expect(code).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({
      predictor: 'churn',
      measure: 'logLoss',
      simulated: false,
      notes: [],
      gains: [
        { cadenceMs: 7_200_000, verdict: 'gain' },
        { cadenceMs: 86_400_000, verdict: 'gain' },
      ],
      conclusions: [expect.stringMatching(/^A significant gain/), expect.any(String), expect.any(String)],
      picture: expect.stringMatching(/out\/p\.svg$/),
    });
    expect(report.policies).toHaveLength(5);
    expect(await place.read('out/p.svg')).toContain('</svg>');
  });

  test('leaves out unknown outcomes with a warning and bounds, and warns of few effective users', async () => {
    await place.write('h.ndjson', history(45).replace(/"outcome":[01]/, '"outcome":null'));
    const { code, out } = await place.tandem(`${FILE} --cadence 1d`, NO_DATABASE);
    expect(code).toBe(0);
    expect(out).toMatch(/44 of 45 reads by 44 users/);
    expect(out).toMatch(/1 read \(2\.2 %\) left out because the outcome is unknown/);
    expect(out).toMatch(/with any values of the\s+unknown outcomes\s+[+−]0\.\d+ to \+0\.\d+/);
    expect(out).toMatch(/weigh like those of only 44 equally/);
    await place.write('h.ndjson', history(15));
    expect((await place.tandem(FILE, NO_DATABASE)).out).toMatch(/^No finding: not enough users/);
    await place.write('h.ndjson', history(2).replaceAll(/"outcome":[01]/g, '"outcome":null'));
    expect((await place.tandem(FILE, NO_DATABASE)).err).toMatch(/none of 2 reads has a known outcome/);
  });

  test('says that there is no significant gain if the interval contains 0', async () => {
    await place.write(
      'h.ndjson',
      history(400, (user) => Number(user % 50 < 31 ? user % 2 : (user + 1) % 2)),
    );
    const { out } = await place.tandem(`${FILE} --cadence 1d`, NO_DATABASE);
    expect(out).toMatch(
      /^No significant gain: on this history, live answers after events were not measurably better than batch-only\severy 1d\./,
    );
    expect(out).toMatch(/· Hybrid against batch-only every 1d: no significant gain;/);
  });

  test.each<[string, string, RegExp, { readonly outcome?: number }]>([
    [
      'an invalid outcome',
      '',
      /line 5 of the history: an outcome is 2, but output score is one number, so/,
      { outcome: 2 },
    ],
    ['another predictor', ' --output other', /has no output other to judge\n {2}use one of score/, {}],
    ['an invalid cadence', ' --cadence 1w', /a duration such as 1d or 6h is expected/, {}],
    ['an outcome beside a file', ' --outcome order', /a history file contains its outcomes/, {}],
  ])('%s is refused', async (_, args, problem, { outcome }) => {
    await place.write(
      'h.ndjson',
      history(60, (user) => outcome ?? user % 2),
    );
    const { code, err } = await place.tandem(FILE + args, NO_DATABASE);
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(problem);
  });

  test('a list is judged by its hit rate', async () => {
    const both = node('Identity', ['features'], ['items']);
    const [inputs, outputs] = ['features', 'items'].map((name) => [value(name, FLOAT, ['N', 2])]);
    await place.write('m.onnx', model(graph([both], [], inputs ?? [], outputs ?? [])));
    await place.write('tandem.config.ts', config("{ scores: { from: 'items', type: 'float32', width: 2 } }"));
    // In the batch answer [0.5, 1], item 1 is first. After the event, the taken item is first in [1, 0.9] or [0, 0.9].
    await place.write('h.ndjson', history(60, (user) => 1 - (user % 2)).replaceAll(/\[([01]),1\]/g, '[$1,0.9]'));
    const { code, out, err } = await place.tandem(`${FILE} --cadence 1d --top 1`, NO_DATABASE);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/every 1d: significant gain; hit rate at 1 better by \+0\.5/);
    expect(out).toMatch(/live-only +1\.0000/);
  });

  test('an output that is not a probability is rejected', async () => {
    await place.write('m.onnx', rootModel());
    await place.write(
      'h.ndjson',
      history()
        .replaceAll(/\[[\d.]+,1\]/g, '[4]')
        .replace('["a","b"]', '["a"]'),
    );
    expect((await place.tandem(FILE, NO_DATABASE)).err).toMatch(
      /output score is not a probability: it predicts 2\n.*--output/,
    );
  });

  test('features that do not fit the model, and a predictor that is not in the config, are rejected', async () => {
    await place.write('h.ndjson', history().replace('["a","b"]', '["a","b","c"]').replaceAll(',1]', ',1,1]'));
    expect((await place.tandem(FILE, NO_DATABASE)).err).toMatch(
      /features of the history do not fit the model .* 3 columns give it \(a, b, c\)\n {2}list the columns .* head/,
    );
    const declared = config("{ score: { from: 'absent', type: 'float32' } }").replace(
      "customers' }",
      "customers', nulls: { b: 0 } }",
    );
    await place.write('tandem.config.ts', declared);
    await place.write('h.ndjson', history().replace('["a","b"]', '["a"]').replaceAll(',1]', ']'));
    expect((await place.tandem(FILE, NO_DATABASE)).err).toMatch(
      /features of the history do not fit .*features\.nulls\.b: .*outputs\.score.*\n {2}list the columns .*outputs\.score/,
    );
    expect((await place.tandem('value other --history h.ndjson', NO_DATABASE)).err).toMatch(
      /h\.ndjson is of predictor churn, not of other/,
    );
    expect((await place.tandem('value churn', NO_DATABASE)).err).toMatch(/no history is given/);
    expect((await place.tandem('value churn --outcome order', NO_DATABASE)).err).toMatch(/--within is missing/);
  });
});

describe('of kept answers', () => {
  async function adopt(): Promise<void> {
    await place.sql(`create table customers (customer_id integer primary key, a real not null, b real not null);
      insert into customers select n, 0.5, 1 from generate_series(1, 100) n`);
    const { code, err } = await place.tandem('adopt');
    expect({ code, err }).toEqual({ code: 0, err: '' });
  }

  /** Each user has a batch answer and, after an event, a live answer. Users with odd numbers then order. */
  const KEPT = `insert into tandem.kept_explanations
      (predictor, user_id, model_version_id, at, keep_until, context_version, answer, inputs)
    select 'churn', n::text, v.id, t.at, now() + interval '9 days', k, json_build_object(
        'predictor', 'churn', 'userId', n::text, 'prediction', json_build_object('score', 0.5), 'source', 'batch', 'reason', 'fresh',
        'modelNumber', 1, 'variant', 'stable', 'generationNumber', case when k = 0 then 1 end, 'ageSeconds', 0, 'history', 'h',
        'computedAt', extract(epoch from t.at - case when k = 0 then interval '1 hour' else '0' end) * 1000, 'contextVersion', k, 'lastConcerningVersion', k,
        'predictedFromContextVersion', k),
      json_build_object('read', 'for_the_answer', 'readAt', extract(epoch from t.at) * 1000, 'history', 'h',
        'contextVersion', k, 'fault', null, 'features', json_build_array(
          json_build_object('name', 'a', 'value', case when k < 2 then 0.5 else n % 2 end, 'event', null),
          json_build_object('name', 'b', 'value', 1, 'event', null)))
    from generate_series(1, 60) n cross join generate_series(0, 2) k cross join tandem.model_versions v
    cross join lateral (select now() - interval '5 days' + k * interval '1 hour' as at) t order by n, k;
    insert into tandem.outcomes (source, id, payload_hash, user_id, name, value, time, context_version)
    select 's', n::text, '', n::text, 'order', 1, now() - interval '4 days 20 hours', 2
    from generate_series(1, 60, 2) n`;

  test('takes outcomes from the service, and reports what it left out', async () => {
    await adopt();
    await place.sql(KEPT);
    const { code, out, err } = await place.tandem('value churn --outcome order --within 1d --cadence 1d --json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const report = JSON.parse(out);
    expect(report).toMatchObject({
      reads: { all: 180, judged: 180 },
      notes: [
        expect.stringMatching(/^From 180 kept answers and 30 outcomes; 0 answers are too young/),
        expect.any(String),
        expect.stringMatching(
          /^An answer without an outcome in time counts as 0\. If outcomes may be missing, send value 0/,
        ),
      ],
      users: { scored: 60 },
      outcomeRate: 0.5,
    });
    expect(report.gains[0]).toMatchObject({ cadenceMs: 86_400_000, verdict: 'gain' });
    await place.sql(`update tandem.outcomes set value = 0 where user_id::int % 4 = 1`);
    const unknown = await place.tandem('value churn --outcome order --within 1d --cadence 1d --absent unknown --json');
    expect(JSON.parse(unknown.out)).toMatchObject({
      reads: { all: 180, judged: 90, unknownOutcome: 90 },
      outcomeRate: 0.5,
      notes: { length: 2 },
    });
  });

  test('says that no answers are kept, or that none is old enough', async () => {
    await adopt();
    const asked = 'value churn --outcome order --within 28d';
    expect((await place.tandem(asked)).err).toMatch(/no answers of predictor churn are kept\n.*explanations/);
    await place.sql(KEPT);
    expect((await place.tandem(asked)).err).toMatch(/180 are too young for --within/);
    const { code, err } = await place.tandem('value churn --outcome nope --within 1d');
    expect(code).toBe(1);
    expect(err).toMatch(/no outcome nope was sent for users with kept answers since .* UTC\n {2}check the name/);
  });
});
