/** An event inserted by SQL takes effect with its COMMIT, without any action of a worker or another process. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';

let deployment: Deployment;
let apis: readonly Api[];

beforeAll(async () => {
  deployment = await createDeployment();
  // The test checks answers, not their time, so it allows for a busy machine.
  await adoptCounts(deployment.pool, { users: 1_000, freshness: { liveTimeoutMs: 20_000 } });
  apis = [await deployment.startApi(), await deployment.startApi()];
  const worker = await deployment.startWorker();
  await deployment.runEveryone(api());
  worker.kill('SIGTERM');
  expect(await worker.ended).toBe(0);
});
afterAll(() => deployment?.close());

const api = (): Api => {
  const [first] = apis;
  if (!first) throw new Error('no API runs');
  return first;
};

/** A different user for each test. Every API has just answered a read of this user from the run. */
let user: string;
let lastUser = 0;
beforeEach(async () => {
  user = String(++lastUser);
  await expectAnswers({ source: 'batch', reason: 'fresh', prediction: { score: 0 } });
});

async function expectAnswers(expected: object): Promise<void> {
  const answers = await Promise.all(apis.map(({ client }) => certified(() => client.predict(COUNT, user))));
  for (const { answer } of answers) expect(answer).toMatchObject(expected);
}

/** Runs statements in one transaction, and checks the answers of every API before and after its end. */
async function inTransaction(statements: readonly string[], end: 'commit' | 'rollback'): Promise<void> {
  const application = new pg.Client({ connectionString: deployment.pool.options.connectionString });
  await application.connect();
  try {
    await application.query('begin');
    for (const statement of statements) await application.query(statement);
    await expectAnswers({ source: 'batch', reason: 'fresh', prediction: { score: 0 } });
    await application.query(end);
  } finally {
    await application.end();
  }
}

const change = () => `update counts set changes = changes + 1 where user_id = ${user}`;
const tell = () => `insert into tandem.events (user_id) values ('${user}')`;

it('an inserted event takes effect with the COMMIT of its transaction, and not before', async () => {
  await inTransaction([change(), tell()], 'commit');
  await expectAnswers({ source: 'live', contextVersion: 1, predictedFromContextVersion: 1, prediction: { score: 1 } });
});

it('an event that is rolled back has no effect', async () => {
  await inTransaction([change(), tell()], 'rollback');
  await expectAnswers({ source: 'batch', contextVersion: 0, prediction: { score: 0 } });
});

it("an event of the application's own trigger takes effect with the COMMIT of the change that fired the trigger", async () => {
  await deployment.pool.query(`
    create function tell_change() returns trigger language plpgsql as $$
    begin
      insert into tandem.events (user_id, type) select user_id::text, 'count.changed' from changed;
      return null;
    end $$;
    create trigger tell_change after update on counts referencing new table as changed
      for each statement execute function tell_change()`);
  await inTransaction([change()], 'commit');
  await expectAnswers({ source: 'live', contextVersion: 1, prediction: { score: 1 } });
  // One statement that changes many users inserts an event for each.
  await deployment.pool.query('update counts set changes = changes + 1 where user_id between 500 and 599');
  const userIds = Array.from({ length: 200 }, (_, i) => String(450 + i));
  const results = await certified(() => api().client.predictMany(COUNT, userIds));
  expect(results.map(({ answer }) => answer?.prediction.score)).toEqual(
    userIds.map((id) => (Number(id) >= 500 && Number(id) < 600 ? 1 : 0)),
  );
  expect(deployment.wire.violations).toEqual([]);
});
