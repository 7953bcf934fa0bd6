/**
 * Faults of a model that crashes, hangs or returns NaN for one user, and of a feature query that fails for one chunk.
 * These predictors run in the same processes as the load's own predictor. Other users are not affected, and runs name
 * the users that they could not score.
 */
import type { PredictorToAdopt } from '@tandem/offline-store/adopt';
import { echoModel, loopModel, memoryModel, rootModel } from '@tandem/testing/onnx-models';
import { type LoadedPredictor, loadedPredictor } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { Rig } from '../rig/rig.ts';
import type { Stage } from '../rig/session.ts';
import { startRun } from '../rig/start-run.ts';
import { adoptBeside } from '../rig/told-versions.ts';
import type { NamedFault } from './fault.ts';

interface Misbehaviour {
  readonly name: string;
  readonly what: string;
  readonly expected: string;
  readonly predictor: PredictorToAdopt;
  /** The value of `load` that makes the model or the query fail for a user. */
  readonly load: number;
  /** The users with that value; by default one. */
  readonly failsFor?: readonly string[];
  /** The status of a read of such a user. */
  readonly answered: 422 | 503;
  /** Users of the run, including the user that makes it fail; default: all users. */
  readonly userIds?: readonly string[];
  /** The final state of the run. */
  readonly state: 'done_with_errors' | 'failed';
}

/** The load changes neither of these users: it changes only users with lower numbers. */
const POISON = '1013';
const OTHER = '900';
const AROUND = (users: number) => Array.from({ length: users }, (_, i) => String(1_001 + i));
const RUN_ENDS_WITHIN_MS = 180_000;
/** A number of floats that exceeds the memory of a child. */
const DEADLY = 3e8;
/** A number of iterations so high that the loop does not end in practice. */
const FOR_EVER = 2 ** 62;

const BOTH = ['load', 'changes'] as const;
const WORD_OF_ONE = 'for one user of a run of';

const MISBEHAVIOURS: readonly Misbehaviour[] = [
  {
    name: 'model-crashes',
    what: `the model exhausts the memory ${WORD_OF_ONE} 200, and its process is killed`,
    expected: 'the run names that user alone as failed; a live read of that user is refused; others are inferred',
    predictor: predictorOver('greatest(load, 1)', { name: 'crashes', model: memoryModel(), columns: BOTH }, 100),
    load: DEADLY,
    answered: 503,
    userIds: AROUND(200),
    state: 'done_with_errors',
  },
  {
    name: 'model-hangs',
    what: `the model never ends ${WORD_OF_ONE} 16`,
    expected: 'its process is killed at the deadline; the run names that user alone as failed; others are inferred',
    // Chunks of one user each, because every attempt at the chunk of the hanging user takes 10 s.
    predictor: predictorOver('load', { name: 'hangs', model: loopModel(), columns: BOTH }, 1),
    load: FOR_EVER,
    answered: 503,
    userIds: AROUND(16),
    state: 'done_with_errors',
  },
  {
    name: 'model-not-a-number',
    what: `the model returns NaN ${WORD_OF_ONE} 200`,
    expected: 'the run names that user alone as failed; NaN is neither stored nor served',
    predictor: predictorOver('load', { name: 'roots', model: rootModel(), columns: ['load'] }, 100),
    load: -1,
    answered: 422,
    userIds: AROUND(200),
    state: 'done_with_errors',
  },
  {
    name: 'query-fails-for-one',
    what: `the feature query fails ${WORD_OF_ONE} 200`,
    expected: 'the run names that user alone as failed; a live read of that user is refused; others are inferred',
    predictor: predictorOver(
      '1 / (7 - load)',
      { name: 'divides', model: echoModel('float32', 1), columns: ['changes'] },
      200,
    ),
    load: 7,
    answered: 422,
    userIds: AROUND(200),
    state: 'done_with_errors',
  },
  {
    name: 'chunk-always-fails',
    what: 'the feature query of a run of all users fails for each user of one chunk, each time',
    expected: 'all other chunks are done, and the run fails with the reason',
    predictor: predictorOver(
      '1 / (7 - load)',
      { name: 'fails', model: echoModel('float32', 1), columns: ['changes'] },
      200,
    ),
    load: 7,
    failsFor: AROUND(200),
    answered: 422,
    state: 'failed',
  },
];

export const misbehavingModels: readonly NamedFault[] = MISBEHAVIOURS.map((one) => ({
  name: one.name,
  what: one.what,
  expected: one.expected,
  run: (stage) => misbehave(stage, one),
}));

/** @param load the expression by which the query computes a user's load */
function predictorOver(
  load: string,
  model: Pick<LoadedPredictor, 'name' | 'model' | 'columns'>,
  chunkSize: number,
): PredictorToAdopt {
  const { definition, ...rest } = loadedPredictor({
    ...model,
    freshness: { liveTimeoutMs: 500 },
    batch: { chunkSize },
  });
  const sql = `select user_id, ${load} as load, changes from counts`;
  return { ...rest, definition: { ...definition, query: { ...definition.query, sql } } };
}

async function misbehave({ rig, fault }: Stage, one: Misbehaviour): Promise<void> {
  const { pool, counts } = rig;
  const { failsFor = [POISON] } = one;
  const setLoad = (load: number) =>
    pool.query({ text: 'update counts set load = $1 where user_id = any ($2::bigint[])', values: [load, failsFor] });
  await fault(
    { name: one.name },
    {
      async inject() {
        await setLoad(one.load);
        await adoptBeside(pool, counts, [one.predictor]);
      },
      async hold() {
        await Promise.all([expectRun(rig, one), expectReads(rig, one)]);
      },
      async lift() {
        await setLoad(0);
        await adoptBeside(pool, counts, []);
      },
    },
  );
}

interface EndedRun {
  readonly state: string;
  readonly error: string | null;
  readonly open: number;
  readonly failedChunks: number;
  readonly failedUsers: readonly string[];
}

async function expectRun(rig: Rig, { predictor, userIds, state }: Misbehaviour): Promise<void> {
  const scope = userIds === undefined ? 'all' : { userIds };
  const { id } = await until('the run is accepted', () => startRun(rig, { predictor: predictor.name, scope }));
  const run = await until('the run ends', () => findEnded(rig, id), RUN_ENDS_WITHIN_MS);
  const wrong = (why: string) => new Error(`${why}: ${JSON.stringify(run)}`);
  if (run.state !== state) throw wrong(`the run should be ${state}`);
  if (run.open > 0) throw wrong('the run has open chunks');
  if (state === 'failed') {
    if (!run.error || run.failedChunks !== 1) throw wrong('exactly one chunk should fail, with a reason');
  } else if (String(run.failedUsers) !== POISON) throw wrong(`exactly user ${POISON} should fail`);
}

async function findEnded({ pool }: Rig, id: string): Promise<EndedRun | null> {
  const { rows } = await pool.query<EndedRun>({
    text: `select r.state, r.error,
        (select count(*)::int from tandem.chunks where run_id = r.id and state in ('waiting', 'claimed')) as open,
        (select count(*)::int from tandem.chunks where run_id = r.id and state = 'failed') as "failedChunks",
        array(select user_id from tandem.run_failures where run_id = r.id) as "failedUsers"
      from tandem.runs r where r.id = $1 and r.finished_at is not null`,
    values: [id],
  });
  return rows[0] ?? null;
}

/** Expects that another user is inferred before and after a read of the bad user, which gets the expected status. */
async function expectReads({ apis }: Rig, { predictor: { name }, answered }: Misbehaviour): Promise<void> {
  const isInferred = ({ status, text }: Said) => status === 200 && /"source":"(live|batch)"/.test(text);
  for (const { url } of apis) {
    const others = async () => isInferred(await read(url, name, OTHER));
    await until('others are inferred', others);
    const said = await read(url, name, POISON);
    if (said.status !== answered) throw new Error(`the user with the failing model: ${said.status} ${said.text}`);
    await until('others are inferred again', others);
  }
}

interface Said {
  readonly status: number;
  readonly text: string;
}

async function read(url: string | null, predictor: string, userId: string): Promise<Said> {
  const answer = await fetch(`${url}/v1/predictions/${predictor}/${userId}`);
  return { status: answer.status, text: await answer.text() };
}
