/** Tests the freshness rule on real stores. fast-check chooses the order of calls and answers. */
import { TandemError } from '@tandem/freshness/errors';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import {
  createRescorer,
  createService,
  createWorld,
  createWriters,
  type Delay,
  PREDICTOR,
  USERS,
  type World,
} from './world.ts';

const immediate: Delay = (_name, port) => port;

/** Allows for a busy machine. A test that timed out would disturb later tests on the same stores. */
const ENDS_WITHIN_MS = 900_000;

/** Lets fast-check choose the order in which calls are sent and answers arrive. The stores execute the calls. */
function scheduledBy(scheduler: fc.Scheduler): Delay {
  return (name, port) =>
    new Proxy(port, {
      get(target, property) {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== 'function' || property === 'serverId') return member;
        return async (...args: unknown[]) => {
          await scheduler.schedule(Promise.resolve(), `${name}.${String(property)} leaves`);
          const answer: unknown = await Promise.resolve(member.apply(target, args)).then(
            (value) => ({ value }),
            (error: unknown) => ({ error }),
          );
          await scheduler.schedule(Promise.resolve(), `${name}.${String(property)} arrives`);
          if (typeof answer === 'object' && answer !== null && 'error' in answer) throw answer.error;
          return (answer as { value: unknown }).value;
        };
      },
    });
}

type Step =
  | { readonly do: 'read'; readonly users: readonly string[]; readonly service: number; readonly noCache: boolean }
  | { readonly do: 'change by SQL' | 'change by event'; readonly user: string }
  | { readonly do: 'run all' | 'run stale' | 'roll back' | 'lose Redis' | 'snapshot Redis' | 'restore Redis' }
  | { readonly do: 'run users' | 're-score'; readonly users: readonly string[] };

const user = fc.constantFrom(...USERS);
const someUsers = fc.uniqueArray(user, { minLength: 1, maxLength: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      users: someUsers,
      service: fc.nat({ max: 1 }),
      noCache: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('change by SQL' as const, 'change by event' as const), user }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('run users' as const), users: someUsers }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('re-score' as const), users: someUsers }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'run all' as const,
        'run stale' as const,
        'roll back' as const,
        'lose Redis' as const,
        'snapshot Redis' as const,
        'restore Redis' as const,
      ),
    }),
  },
);

/** Steps of readers of one user in one process. A change may happen while an inference is in progress. */
const follower: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'read', users: ['1'], service: 0, noCache: false } as const) },
  { weight: 2, arbitrary: fc.constant({ do: 'change by SQL', user: '1' } as const) },
);

/** @param runs the number of interleavings for each property */
export function testInterleavings(runs: number): void {
  let database: TestDatabase;
  let world: World;

  beforeAll(async () => {
    database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
    world = await createWorld(database.url, inject('redisUrl'));
  });

  afterAll(async () => {
    await world.inference.close();
    world.connection.close();
    await world.pool.end();
    await database.drop();
  });

  /** Runs each actor's steps in order and all actors concurrently, and checks every answer. */
  async function play(actors: readonly (readonly Step[])[], delay: Delay): Promise<number> {
    const services = [createService(world, delay), createService(world, delay)];
    const writers = createWriters(world, delay);
    const rescore = createRescorer(world, delay);
    /** The highest acknowledged version of each user. No later fresh answer may be below it. */
    const acknowledged = new Map<string, number>((await versions()).map(({ user_id, version }) => [user_id, version]));
    let restoreRedis: (() => Promise<void>) | null = null;
    let fresh = 0;
    const acknowledge = (userId: string, version: number) =>
      acknowledged.set(userId, Math.max(version, acknowledged.get(userId) ?? 0));

    async function read(one: Extract<Step, { do: 'read' }>): Promise<void> {
      const demanded = one.users.map((userId) => acknowledged.get(userId) ?? 0);
      const results = await services[one.service]?.read(PREDICTOR, one.users, { ...PLAIN_READ, noCache: one.noCache });
      results?.forEach((answer, i) => {
        if (answer instanceof TandemError) throw answer;
        const label = answer.predictedFromContextVersion ?? -1;
        const score = Number(answer.prediction.score);
        expect(answer.userId).toBe(one.users[i]);
        // The label is correct if the score counts at least as many changes as the label.
        expect(score).toBeGreaterThanOrEqual(label);
        if (answer.source !== 'batch' && answer.source !== 'live') return;
        expect(label).toBeGreaterThanOrEqual(demanded[i] ?? 0);
        fresh++;
      });
    }

    async function perform(one: Step): Promise<void> {
      switch (one.do) {
        case 'read':
          return read(one);
        case 'change by SQL':
          await writers.changeBySql(one.user);
          acknowledge(one.user, (await versionOf(one.user)) ?? 0);
          return;
        case 'change by event':
          acknowledge(one.user, await writers.changeByEvent(one.user));
          return;
        case 'run all':
          return void (await writers.run({ kind: 'all' }));
        case 'run stale':
          return void (await writers.run({ kind: 'stale' }));
        case 'run users':
          return void (await writers.run({ kind: 'users', userIds: one.users }));
        case 're-score':
          return rescore(one.users);
        case 'roll back':
          return void (await writers.rollBack());
        case 'lose Redis':
          return writers.loseRedis();
        case 'snapshot Redis':
          restoreRedis = await writers.snapshotRedis();
          return;
        case 'restore Redis':
          return restoreRedis?.();
      }
    }

    const done = await Promise.allSettled(
      actors.map(async (steps) => {
        for (const one of steps) await perform(one);
      }),
    );
    await Promise.all(services.map((service) => service.close()));
    for (const one of done) if (one.status === 'rejected') throw one.reason;
    return fresh;
  }

  async function versions() {
    const { rows } = await world.pool.query<{ user_id: string; version: number }>(
      'select user_id, version from tandem.user_contexts',
    );
    return rows;
  }

  async function versionOf(userId: string) {
    return (await versions()).find((row) => row.user_id === userId)?.version;
  }

  it(
    'never answers fresh from a context older than one acknowledged before the read began, in any interleaving',
    async () => {
      let fresh = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 4 }),
          async (scheduler, actors) => {
            const playing = play(actors, scheduledBy(scheduler));
            fresh += await scheduler.waitFor(playing);
          },
        ),
        { numRuns: runs, endOnFailure: true },
      );
      expect(fresh).toBeGreaterThan(runs);
    },
    ENDS_WITHIN_MS,
  );

  it(
    'never answers a reader that shares an inference from a context older than its own',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(fc.array(follower, { minLength: 2, maxLength: 6 }), { minLength: 3, maxLength: 4 }),
          async (scheduler, actors) => {
            await scheduler.waitFor(play(actors, scheduledBy(scheduler)));
          },
        ),
        { numRuns: runs, endOnFailure: true },
      );
    },
    ENDS_WITHIN_MS,
  );

  it(
    'holds at full speed without a scheduler',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(step, { minLength: 5, maxLength: 20 }), { minLength: 6, maxLength: 8 }),
          async (actors) => {
            await play(actors, immediate);
          },
        ),
        { numRuns: Math.ceil(runs / 6), endOnFailure: true },
      );
    },
    ENDS_WITHIN_MS,
  );

  it('applies a rollback to the next read, despite older data in Redis and in process memory', async () => {
    const service = createService(world, immediate);
    const writers = createWriters(world, immediate);
    await writers.run({ kind: 'all' });
    await writers.run({ kind: 'all' });
    const [before] = await service.read(PREDICTOR, ['1'], PLAIN_READ);
    const number = await writers.rollBack();
    const [after] = await service.read(PREDICTOR, ['1'], PLAIN_READ);
    expect(before).toMatchObject({ source: 'batch' });
    expect(after).toMatchObject({ source: 'batch', generationNumber: number });
    expect(before).not.toMatchObject({ generationNumber: number });
    await service.close();
  });

  it('changes no other user in a partial run', async () => {
    const service = createService(world, immediate);
    const writers = createWriters(world, immediate);
    await writers.run({ kind: 'all' });
    await writers.changeBySql('2');
    const outcome = await writers.run({ kind: 'users', userIds: ['2'] });
    expect(outcome).toMatchObject({ state: 'done', generation: null });
    const answers = await service.read(PREDICTOR, USERS, PLAIN_READ);
    expect(
      answers.map((answer) => (answer instanceof TandemError ? answer.code : `${answer.source} ${answer.reason}`)),
    ).toEqual(USERS.map(() => 'batch fresh'));
    await service.close();
  });
}
