/** Faults of a deployment: its programs are replaced one by one, killed, or more numerous than planned. */
import { setTimeout as pause } from 'node:timers/promises';
import { echoModel } from '@tandem/testing/onnx-models';
import { loadedPredictor } from '../../../e2e/counts.fixture.ts';
import { killChild } from '../../../e2e/program.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { Rig } from '../rig/rig.ts';
import type { Stage } from '../rig/session.ts';
import type { SupervisedProgram } from '../rig/supervised-program.ts';
import { adoptBeside } from '../rig/told-versions.ts';
import { type NamedFault, NotMet, oneOf } from './fault.ts';

const KILLS = 5;
/** The number of workers in addition to the usual two. Each worker is also a scheduler. */
const HIRED = 3;
const SLOTS = 2;
/** A slot is a minute, and a run of everyone follows the slots. */
const SLOT_WITHIN_MS = 120_000;
const SCHEDULED = 'scheduled';

const NO_WORKER_MS = 10_000;
const PUBLISHES_WITHIN_MS = 60_000;

export const deployments: readonly NamedFault[] = [
  {
    name: 'rolling-deploy',
    what: 'each program is replaced, one after another: SIGTERM, then a new process when it has ended',
    expected: 'work in progress succeeds; until then clients use the other API',
    run: ({ rig, fault }) =>
      fault({ name: 'each program replaced' }, { inject: () => replaceAll(rig), lift: async () => {} }),
  },
  {
    name: 'inference-killed',
    what: `kill -9 of the inference children of one API and one worker, ${KILLS} times`,
    expected: 'reads in those children are retried or refused; both programs continue',
    run: killInference,
  },
  {
    name: 'several-schedulers',
    what: `${HIRED} more workers, five schedulers in all, for ${SLOTS} slots of a schedule; the worker that creates the first run is killed before it enqueues the run`,
    expected: 'one run a slot, and each run is done',
    run: scheduleByMany,
  },
  {
    name: 'workers-to-zero-in-publish',
    what: `every worker gets SIGTERM as one begins to publish, and no worker runs for ${NO_WORKER_MS / 1_000} s`,
    expected: 'the next worker publishes and continues the work that was handed back; events are relayed late',
    run: scaleToZero,
  },
];

/** Restarts the programs one after another, each after the previous program has started. */
export async function replaceAll({ programs }: Rig): Promise<void> {
  for (const program of programs) await program.restart('SIGTERM');
}

async function killInference({ rig, random, fault }: Stage): Promise<void> {
  const struck = [oneOf(rig.apis, random), oneOf(rig.workers, random)];
  const starts = struck.map((program) => program.starts());
  await fault(
    { name: `inference of ${struck.map(({ name }) => name).join(' and ')} killed` },
    {
      async inject() {
        for (let i = 0; i < KILLS; i++) {
          for (const program of struck) program.children().forEach(killChild);
          await pause(1_000);
        }
      },
      lift: () => untilEachHasChild(struck),
    },
  );
  const after = struck.map((program) => program.starts());
  if (String(starts) !== String(after)) throw new Error(`programs restarted: ${starts} → ${after} starts`);
}

async function untilEachHasChild(programs: readonly SupervisedProgram[]): Promise<void> {
  await until('each has a child again', () => programs.every((program) => program.children().length > 0), 10_000);
}

async function scheduleByMany({ rig, fault }: Stage): Promise<void> {
  const hired = await rig.hireWorkers(HIRED);
  const schedulers = [...rig.workers, ...hired];
  try {
    await fault(
      { name: `${schedulers.length} schedulers` },
      {
        async inject() {
          for (const { failpoints } of schedulers) failpoints.arm('schedule.after_insert', 'kill9');
          await adoptSchedule(rig, '* * * * *');
        },
        hold: () => untilSlotsAreDone(rig, schedulers),
        async lift() {
          for (const { failpoints } of schedulers) failpoints.disarmAll();
          await adoptBeside(rig.pool, rig.counts, []);
          await Promise.all(rig.workers.map((worker) => worker.ready()));
        },
      },
    );
  } finally {
    for (const worker of hired) await worker.close();
  }
}

async function scaleToZero({ rig: { workers }, fault }: Stage): Promise<void> {
  await fault(
    { name: 'no worker, in a publication' },
    {
      async inject() {
        const armed = workers.map(({ failpoints }) => failpoints.arm('batch.before_publish', 'pause', { ms: 500 }));
        await Promise.any(armed.map((one) => one.whenFired(1, PUBLISHES_WITHIN_MS))).catch(() => {
          throw new NotMet(`no worker published within ${PUBLISHES_WITHIN_MS / 1_000} s`);
        });
        for (const worker of workers) {
          worker.failpoints.disarmAll();
          worker.hold();
          worker.signal('SIGTERM');
        }
        await Promise.all(workers.map((worker) => worker.ended()));
      },
      hold: () => pause(NO_WORKER_MS),
      async lift() {
        for (const worker of workers) worker.release();
        await Promise.all(workers.map((worker) => worker.ready()));
      },
    },
  );
}

async function adoptSchedule({ pool, counts }: Rig, schedule: string): Promise<void> {
  const scheduled = loadedPredictor({
    ...{ name: SCHEDULED, model: echoModel('float32', 1), columns: ['changes'], freshness: {} },
    batch: { chunkSize: 500, schedule },
  });
  await adoptBeside(pool, counts, [scheduled]);
}

interface SlotRuns {
  readonly slot: Date;
  readonly runs: number;
  readonly done: number;
}

async function untilSlotsAreDone({ pool }: Rig, schedulers: readonly SupervisedProgram[]): Promise<void> {
  const since = new Date();
  const starts = schedulers.reduce((sum, program) => sum + program.starts(), 0);
  const slots = await until(
    `${SLOTS} slots have their runs`,
    async () => {
      const { rows } = await pool.query<SlotRuns>({
        text: `select schedule_slot as slot, count(*)::int as runs, count(*) filter (where state = 'done')::int as done
          from tandem.runs where predictor = $1 and created_at >= $2 group by schedule_slot order by schedule_slot`,
        values: [SCHEDULED, since],
      });
      return rows.filter(({ done }) => done > 0).length >= SLOTS ? rows : null;
    },
    SLOTS * SLOT_WITHIN_MS,
  );
  const wrong = slots.filter(({ slot, runs }) => slot === null || runs !== 1);
  if (wrong.length > 0) throw new Error(`slots that have not one run: ${JSON.stringify(wrong)}`);
  const died = schedulers.reduce((sum, program) => sum + program.starts(), 0) - starts;
  if (died === 0) throw new Error('no scheduler was killed between making a run and saying so');
}
