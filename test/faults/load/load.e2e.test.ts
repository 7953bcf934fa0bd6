/** The load and its checker on a whole deployment, with a kill of each kind of process: everything is met, nothing is wrong. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../../e2e/until.fixture.ts';
import { openSession, type Session } from '../rig/session.ts';

/** Of each kind of outcome, that the load must have met. */
const OUTCOMES = ['read 200', 'read 304', 'event 202', 'event 409', 'run 202'];
const SOURCES = ['batch fresh', 'live fresh', 'live context_newer', 'live requested', 'stale context_newer'];

let folder: string;
let session: Session;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-load-'));
  session = await openSession({ seed: 20, folder, users: 300 });
});
afterAll(async () => {
  await session?.close();
  await rm(folder, { recursive: true, force: true });
});

it('meets every kind of answer while processes are killed, and finds nothing wrong, in the stores neither', async () => {
  const { checker, rig, fault } = session;
  const hasMet = () =>
    OUTCOMES.every((outcome) => checker.calls.outcomes.has(outcome)) &&
    SOURCES.every((source) => checker.reads.sources.has(source));
  await until('every kind of answer was met', hasMet);
  for (const program of [rig.apis[0], rig.workers[0]]) {
    const seen = checker.reads.fresh;
    let back: Promise<void> = Promise.resolve();
    await fault(
      { name: `kill -9 ${program?.name}` },
      {
        async inject() {
          back = program?.restart('SIGKILL') ?? back;
        },
        lift: () => back,
      },
    );
    await until('reads go on', () => checker.reads.fresh > seen + 500);
  }
  await session.finish();
  expect(checker.violations.first).toEqual([]);
  expect(checker.events.acknowledged).toBeGreaterThan(50);
  expect(checker.events.duplicates).toBeGreaterThan(5);
  expect(checker.reads.fresh).toBeGreaterThan(2_000);
});
